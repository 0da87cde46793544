"""The shapes of ModelNet.

The folder is ModelNet10 or ModelNet40 as distributed (Wu et al., "3D ShapeNets", 2015), with the
files `{class}/{train|test}/{class}_NNNN.off`. The official test split stays unchanged. ModelNet has
no validation split, so the seed chooses some train shapes of each class for validation.

Axes: z is up in ModelNet and y is up in ShapeNet. Canonical files have y up, so by default the
shapes are rotated by -90 degrees around x, (x, y, z) -> (x, z, -y). `Up.Z` keeps the axes of the
files. The heading of a shape does not change. In ModelNet10, all shapes of a class have the same
heading; in ModelNet40, some shapes have other headings. Each file has its own unit, often inches,
so the sizes of different shapes cannot be compared.

Names: a class whose name is in `pcdiff.clouds.categories.SYNSETS` is written under its synset id
(airplane, bathtub, bed, bench, bookshelf, bottle, bowl, car, chair, guitar, keyboard, lamp, laptop,
monitor, piano, sofa, table). The other classes (desk, dresser, night_stand, toilet, ...) keep
ModelNet's name. A class that is only a part of a ShapeNet category, such as desks among the tables,
also keeps ModelNet's name, because the synset id would stand for different kinds of objects.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from pcdiff.clouds.categories import synset_id
from pcdiff.clouds.conversion.shapes import Shape, ShapePoints, points_on_mesh
from pcdiff.clouds.conversion.writing import Conversion, convert
from pcdiff.errors import InputError


class Up(StrEnum):
    """The axis that points up in the output file."""

    Y = "y"
    Z = "z"


@dataclass(frozen=True)
class ModelNetOptions:
    """Options of the conversion of ModelNet.

    Attributes:
        points: Number of points per shape, at least 2.
        up: Axis that points up in the output file.
        seed: Seed of the points; the points of a shape depend on the seed and the shape's name.
        workers: Number of processes; any number gives the same result.
        strict: Whether to raise an error at the first unreadable shape instead of skipping it.
    """

    points: int = 2048
    up: Up = Up.Y
    seed: int = 0
    workers: int = 1
    strict: bool = False


def modelnet_shapes(
    folder: Path,
    categories: Collection[str] | None = None,
    validation_fraction: float = 0.1,
    validation_count: int | None = None,
    seed: int = 0,
) -> list[Shape]:
    """List the shapes of ModelNet10 or ModelNet40, and move some train shapes to validation.

    Args:
        folder: Folder with the files `{class}/{train|test}/{class}_NNNN.off`.
        categories: Class names of ModelNet, or synset ids; None means all classes in the folder.
        validation_fraction: Fraction of each class's train shapes to use for validation. The number
            of shapes is rounded, and is at least 1 unless the fraction is 0.
        validation_count: Number of each class's train shapes to use for validation; None uses the
            fraction.
        seed: Seed of the choice; the choice in one class does not depend on the other classes.

    Raises:
        InputError: If the folder does not exist or has another layout, a class is missing, or a
            class would have no train shapes.
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
                raise InputError(
                    f"{folder} has no class {category!r}; classes in the folder: {listing}"
                )
        chosen = [by_group[synset_id(category)] for category in categories]
    shapes = []
    for name in dict.fromkeys(chosen):
        train, test = (sorted((there[name] / split).glob("*.off")) for split in ("train", "test"))
        aside = validation_count
        if aside is None:
            aside = max(1, round(validation_fraction * len(train))) if validation_fraction else 0
        if train and aside >= len(train):
            raise InputError(
                f"the number of validation shapes of {name} must be below the {len(train)} train "
                f"shapes in {folder}, got {aside}"
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


def points_on_model(shape: Shape, points: int, seed: int, up: Up) -> ShapePoints:
    """Draw points on the surface of a mesh file, uniform by area and with the requested axis up."""
    drawn = points_on_mesh(shape, points, seed)
    if up is Up.Z:
        return drawn
    x, y, z = drawn.points.T
    return replace(drawn, points=np.stack([x, z, -y], axis=1))


def convert_modelnet(
    shapes: Sequence[Shape],
    output: str | os.PathLike[str],
    source: str,
    options: ModelNetOptions = ModelNetOptions(),
    advance: Callable[[], None] = lambda: None,
) -> Conversion:
    """Write shapes of ModelNet to a canonical file.

    Args:
        shapes: Shapes from `modelnet_shapes`.
        output: HDF5 file to write.
        source: Name of the data set, for the attributes of the file.
        options: Options of the conversion.
        advance: Function that is called after each shape.

    Raises:
        InputError: If `convert` raises an error.
    """
    attributes: dict[str, str | int | float] = {
        "source": f"{source}: ModelNet meshes, official train and test splits, "
        "validation shapes taken from train, points uniform by area",
        "normalisation": "none",
        "points": options.points,
        "seed": options.seed,
        "up": options.up.value,
        "unit": "each ModelNet file's own, not metres and not the same for all shapes",
    }
    reader = functools.partial(
        points_on_model, points=options.points, seed=options.seed, up=options.up
    )
    return convert(shapes, reader, output, attributes, options.workers, options.strict, advance)
