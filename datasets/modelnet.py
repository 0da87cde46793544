"""Convert ModelNet to a canonical file: `python -m datasets.modelnet FOLDER --output FILE.hdf5`.

`pcdiff.clouds.conversion.modelnet` does the work and describes axes, units and names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets.conversion import Categories, Output, Strict, Workers, report, separate
from pcdiff.clouds.conversion.modelnet import (
    ModelNetOptions,
    Up,
    convert_modelnet,
    modelnet_shapes,
)
from pcdiff.console import Json, Seed, Session, application, progress, run

app = application("Convert ModelNet to the canonical HDF5 file.")


@app.command()
def modelnet(
    folder: Annotated[Path, typer.Argument(help="Folder of ModelNet10 or ModelNet40.")],
    output: Output,
    categories: Categories = None,
    points: Annotated[int, typer.Option(min=2, help="Number of points per shape.")] = 2048,
    up: Annotated[
        Up,
        typer.Option(
            help="Axis that points up in the output: y rotates the shapes so that y is up, as in "
            "ShapeNet; z keeps the axes of the files."
        ),
    ] = Up.Y,
    validation_fraction: Annotated[
        float,
        typer.Option(
            min=0.0, max=0.99, help="Fraction of each class's train shapes to use for validation."
        ),
    ] = 0.1,
    validation_count: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of each class's train shapes to use for validation. Default: see "
            "--validation-fraction.",
        ),
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Convert ModelNet10 or ModelNet40 (OFF meshes) to a canonical HDF5 file.

    The official test split stays unchanged; the validation shapes come from the train split. Each
    shape keeps the size and the unit of its file. Unreadable shapes are reported and skipped.
    """
    session = Session("datasets.modelnet", seed, as_json=as_json)
    shapes = modelnet_shapes(
        folder, separate(categories), validation_fraction, validation_count, seed
    )
    options = ModelNetOptions(points, up, seed, workers, strict)
    with progress("shapes", len(shapes)) as advance:
        done = convert_modelnet(shapes, output, folder.resolve().name, options, advance)
    report(session, done, output, points, {"up": up.value})


if __name__ == "__main__":
    run(app)
