"""One shape of a set, and the ways to read its points.

Worker processes import this module and not torch, unless the shapes are clouds.
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
    """One shape of a set.

    Attributes:
        category: the group of the canonical file: a synset id, or the source's name for what
            ShapeNet lacks.
        split: "train", "val" or "test".
        name: the source's name for the shape, unique within its category.
        path: its file.
    """

    category: str
    split: str
    name: str
    path: Path

    def generator(self, seed: int) -> np.random.Generator:
        """Randomness for this shape: of the seed and the shape's name, not of its place."""
        return np.random.default_rng([seed, *f"{self.category}/{self.name}".encode()])


Reader = Callable[[Shape], NDArray[np.float32]]
"""Reads the points (points, 3) of a shape, or raises `InputError` with a sentence that names it."""


def points_on_mesh(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """A `Reader` for mesh files: points uniform by area on the surface, in the file's axes."""
    return sample_surface(read_mesh(shape.path), points, shape.generator(seed))


def points_of_cloud(shape: Shape, points: int, seed: int) -> NDArray[np.float32]:
    """A `Reader` for cloud files: all points in their order, or a random choice of them."""
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
    """The shape's points, or the sentence that says why it cannot be read."""
    try:
        return read(shape)
    except InputError as error:
        return str(error)
