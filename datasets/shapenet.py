"""Convert ShapeNetCore v2: `python -m datasets.shapenet FOLDER --output FILE.hdf5`.

`pcdiff.clouds.conversion.shapenet` does the work and describes the two folder layouts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datasets.conversion import Categories, Output, Strict, Workers, report, separate
from pcdiff.clouds.conversion.shapenet import (
    POINTS_OF_MESH,
    POINTS_OF_PC15K,
    ShapeNetOptions,
    cloud_shapes,
    convert_shapenet,
    has_meshes,
    mesh_shapes,
)
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Convert ShapeNet to the canonical HDF5 file.")


@app.command()
def shapenet(
    folder: Annotated[Path, typer.Argument(help="Folder of meshes or of ShapeNetCore.v2.PC15k.")],
    output: Output,
    categories: Categories = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="Table of the official split of the meshes. Default: FOLDER/all.csv."),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            min=2,
            help=f"Number of points per shape. Default: {POINTS_OF_MESH} for meshes, "
            f"{POINTS_OF_PC15K} for PC15k.",
        ),
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Convert ShapeNetCore v2 (meshes with all.csv, or PC15k clouds) to a canonical HDF5 file.

    The points keep ShapeNet's axes (y is up) and its unit (the diagonal of a model's bounding box
    is approximately 1). Unreadable shapes are reported and skipped.
    """
    session = Session("datasets.shapenet", seed, as_json=as_json)
    chosen = separate(categories)
    if has_meshes(folder):
        if splits is None and not (folder / "all.csv").is_file():
            raise InputError(
                f"{folder / 'all.csv'} does not exist: add the table of the official split, or "
                "state its path with --splits"
            )
        found = mesh_shapes(folder, splits, chosen)
    elif splits is not None:
        raise InputError(
            f"--splits is only for meshes, but {folder} contains clouds, which are already split"
        )
    else:
        found = cloud_shapes(folder, chosen)
    count = points or (POINTS_OF_MESH if found.meshes else POINTS_OF_PC15K)
    with progress("shapes", len(found.shapes)) as advance:
        options = ShapeNetOptions(count, seed, workers, strict)
        done = convert_shapenet(found, output, options, advance)
    if found.without_split:
        typer.echo(f"left out {found.without_split} models without a split", err=True)
    details = {"layout": found.layout, "without_split": found.without_split}
    report(session, done, output, count, details)


if __name__ == "__main__":
    run(app)
