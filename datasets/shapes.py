"""A shape of a data set, and the functions that read its points.

Worker processes import this module; it imports torch only if the shapes are clouds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.surfaces import read_mesh, sample_surface
from pcdiff.errors import InputError


@dataclass(frozen=True)
class Shape:
    """A shape of a data set.

    Attributes:
        category: Group of the canonical file: a synset id, or the source's name for a category
            that ShapeNet lacks.
        split: Name of the split: "train", "val" or "test".
        name: Name of the shape in its source, unique within its category.
        path: File of the shape.
    """

    category: str
    split: str
    name: str
    path: Path

    def generator(self, seed: int) -> np.random.Generator:
        """Make a generator that depends on the seed and the shape's name, not its position."""
        return np.random.default_rng([seed, *f"{self.category}/{self.name}".encode()])


Reader = Callable[[Shape], NDArray[np.float32]]
"""A function that returns a shape's points (points, 3) or raises an `InputError` that names it."""


def points_on_mesh(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """Read a mesh file (a `Reader`): points uniform by area on its surface, in the file's axes."""
    return sample_surface(read_mesh(shape.path), points, shape.generator(seed))


def points_of_cloud(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """Read a cloud file (a `Reader`): all points in their order, or a random subset of them."""
    from pcdiff.clouds.files import load_cloud

    cloud = load_cloud(shape.path).numpy()
    if len(cloud) < points:
        raise InputError(f"{shape.path} has {len(cloud)} points, expected at least {points}")
    if len(cloud) > points:
        cloud = cloud[shape.generator(seed).choice(len(cloud), points, replace=False)]
    if (cloud == cloud[0]).all():
        raise InputError(f"{shape.path} has no extent: all its points are equal")
    return cloud


def attempt(read: Reader, shape: Shape) -> NDArray[np.float32] | str:
    """Read the shape's points; if that fails, return a sentence that says why."""
    try:
        return read(shape)
    except InputError as error:
        return str(error)
