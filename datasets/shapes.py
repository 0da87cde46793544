"""A shape of a data set, and functions that read the points of a shape.

Worker processes import this module. The module imports torch only to read clouds.
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
    """One shape of a data set.

    Attributes:
        category: Name of the group in the canonical file: a synset id, or the name in the source
            for a category that is not in ShapeNet.
        split: Name of the split: "train", "val" or "test".
        name: Name of the shape in the source, unique in the category.
        path: File of the shape.
    """

    category: str
    split: str
    name: str
    path: Path

    def generator(self, seed: int) -> np.random.Generator:
        """Return a generator that depends only on the seed and on the shape's category and name."""
        return np.random.default_rng([seed, *f"{self.category}/{self.name}".encode()])


Reader = Callable[[Shape], NDArray[np.float32]]
"""A function that returns the points of a shape as an array (points, 3). For an unreadable file,
the function raises an `InputError` with the name of the file."""


def points_on_mesh(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """Draw points on the surface of a mesh file, uniform by area and in the axes of the file."""
    return sample_surface(read_mesh(shape.path), points, shape.generator(seed))


def points_of_cloud(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """Read the points of a cloud file: all points in the order of the file, or a random subset."""
    from pcdiff.clouds.files import load_cloud

    cloud = load_cloud(shape.path).numpy()
    if len(cloud) < points:
        raise InputError(f"{shape.path} has {len(cloud)} points, expected at least {points}")
    if len(cloud) > points:
        cloud = cloud[shape.generator(seed).choice(len(cloud), points, replace=False)]
    if (cloud == cloud[0]).all():
        raise InputError(f"all points of {shape.path} are equal, expected different points")
    return cloud


def attempt(read: Reader, shape: Shape) -> NDArray[np.float32] | str:
    """Read the points of a shape, or return one sentence about the error if reading fails."""
    try:
        return read(shape)
    except InputError as error:
        return str(error)
