"""ModelNet as a canonical file: `python -m datasets.modelnet FOLDER --output FILE.hdf5`.

The folder is ModelNet10 or ModelNet40 as distributed (Wu et al., "3D ShapeNets", 2015):
`{class}/{train|test}/{class}_NNNN.off`. Its train and test splits are kept; it has no validation
split, so a fixed part of each class's train shapes, chosen by the seed, becomes one.

Axes: ModelNet's z is up, ShapeNet's y is. The canonical files here have y up, so by default the
shapes are turned by -90 degrees about x, (x, y, z) -> (x, z, -y), which puts ModelNet's up where
ShapeNet has it. `--up z` keeps the files' own axes. Headings are as in the files: ModelNet10 is
aligned within a class, ModelNet40 is not throughout. The unit is each file's own (many are in
inches, some in others), so sizes of different shapes do not compare.

Names: a class whose name is in `pcdiff.clouds.categories.SYNSETS` is written as that synset id
(airplane, bathtub, bed, bench, bookshelf, bottle, bowl, car, chair, guitar, keyboard, lamp, laptop,
monitor, piano, sofa, table). The others (desk, dresser, night_stand, toilet, ...) keep ModelNet's
name, also where ShapeNet files such things under a wider category (desks under tables), because the
two sets would not hold the same kind of thing.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from datasets.conversion import (
    Categories,
    Output,
    Strict,
    Workers,
    convert,
    report,
    separate,
)
from datasets.shapes import Shape, points_on_mesh
from pcdiff.clouds.categories import synset_id
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

app = application("Convert ModelNet to the canonical HDF5 file.")


class Up(StrEnum):
    """The axis that points up in the file to write."""

    Y = "y"
    Z = "z"


def modelnet_shapes(
    folder: Path,
    categories: Collection[str] | None = None,
    validation_fraction: float = 0.1,
    validation_count: int | None = None,
    seed: int = 0,
) -> list[Shape]:
    """The shapes of ModelNet10 or ModelNet40, a part of the train shapes set aside to validate.

    Args:
        folder: `{class}/{train|test}/{class}_NNNN.off`.
        categories: ModelNet's class names, or synset ids; by default all classes of the folder.
        validation_fraction: part of each class's train shapes to set aside, rounded, but at least
            one unless it is 0.
        validation_count: how many to set aside of each class, instead.
        seed: chooses which; the choice in one class does not depend on the other classes.

    Raises:
        InputError: the folder has another layout, a class is not there, or no train shape would be
            left.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    there = {path.parent.name: path.parent for path in sorted(folder.glob("*/train"))}
    there |= {path.parent.name: path.parent for path in sorted(folder.glob("*/test"))}
    if not there:
        raise InputError(f"{folder} has no class folders, expected {{class}}/{{train|test}}/*.off")
    by_group = {synset_id(name): name for name in there}
    chosen = list(there)
    if categories is not None:
        for category in categories:
            if synset_id(category) not in by_group:
                listing = ", ".join(sorted(there))
                raise InputError(f"{folder} has no class {category!r}, it has {listing}")
        chosen = [by_group[synset_id(category)] for category in categories]
    shapes = []
    for name in dict.fromkeys(chosen):
        train, test = (sorted((there[name] / split).glob("*.off")) for split in ("train", "test"))
        aside = validation_count
        if aside is None:
            aside = max(1, round(validation_fraction * len(train))) if validation_fraction else 0
        if train and aside >= len(train):
            raise InputError(
                f"{folder} has {len(train)} train shapes of {name}, which leaves none to train "
                f"when {aside} are set aside to validate"
            )
        generator = np.random.default_rng([seed, *name.encode()])
        validation = set(generator.permutation(len(train))[:aside].tolist())
        splits = ["val" if i in validation else "train" for i in range(len(train))]
        splits += ["test"] * len(test)
        shapes += [
            Shape(synset_id(name), split, path.stem, path)
            for split, path in zip(splits, train + test, strict=True)
        ]
    return shapes


def points_on_model(shape: Shape, points: int, seed: int, up: Up) -> NDArray[np.float32]:
    """A `Reader`: points uniform by area, in the file's axes or turned so that y is up."""
    drawn = points_on_mesh(shape, points, seed)
    if up is Up.Z:
        return drawn
    x, y, z = drawn.T
    return np.stack([x, z, -y], axis=1)


@app.command()
def modelnet(
    folder: Annotated[Path, typer.Argument(help="ModelNet10 or ModelNet40 as distributed.")],
    output: Output,
    categories: Categories = None,
    points: Annotated[int, typer.Option(min=2, help="Points a shape.")] = 2048,
    up: Annotated[
        Up,
        typer.Option(
            help="Up axis to write: y turns ModelNet's z up to ShapeNet's y up, z keeps the files."
        ),
    ] = Up.Y,
    validation_fraction: Annotated[
        float,
        typer.Option(min=0.0, max=0.99, help="Part of each class's train shapes to validate with."),
    ] = 0.1,
    validation_count: Annotated[
        int | None, typer.Option(min=0, help="So many of each class instead of a fraction.")
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Convert ModelNet10 or ModelNet40 (OFF meshes) to a canonical HDF5 file.

    The official test split is kept; the validation split is taken from train. Sizes stay in each
    file's own unit. A shape that cannot be read is reported and skipped.
    """
    session = Session("datasets.modelnet", seed, as_json=as_json)
    shapes = modelnet_shapes(
        folder, separate(categories), validation_fraction, validation_count, seed
    )
    attributes: dict[str, str | int | float] = {
        "source": f"{folder.resolve().name}: ModelNet meshes, official train and test splits, "
        "validation shapes taken from train, points uniform by area",
        "normalisation": "none",
        "points": points,
        "seed": seed,
        "up": up.value,
        "unit": "each ModelNet file's own, not metres and not the same for all shapes",
    }
    with progress("shapes", len(shapes)) as advance:
        reader = functools.partial(points_on_model, points=points, seed=seed, up=up)
        done = convert(shapes, reader, output, attributes, workers, strict, advance)
    report(session, done, output, points, {"up": up.value})


if __name__ == "__main__":
    run(app)
