"""A shape of a data set, and functions that read the points of a shape.

Worker processes import this module. The module imports torch only to read clouds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcdiff.clouds.conversion.surfaces import mesh_of, read_mesh, sample_surface
from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry


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


@dataclass(frozen=True, eq=False)
class ShapePoints:
    """The points that were taken from a file, and what the user should know about them.

    Attributes:
        points: Points of the shape, (points, 3).
        available: Number of points of a cloud in the file; None for a mesh.
        remarks: Sentences about what was left out of the file.
    """

    points: NDArray[np.float32]
    available: int | None
    remarks: tuple[str, ...] = ()


Reader = Callable[[Shape], ShapePoints]
"""A function that returns the points of a shape. For an unreadable file, the function raises an
`InputError` with the name of the file."""


def points_on_mesh(shape: Shape, points: int, seed: int) -> ShapePoints:
    """Draw points on the surface of a mesh file, uniform by area and in the axes of the file."""
    mesh, remarks = read_mesh(shape.path)
    return ShapePoints(sample_surface(mesh, points, shape.generator(seed)), None, remarks)


def points_of_cloud(shape: Shape, points: int, seed: int) -> ShapePoints:
    """Read the points of a cloud file: all points in the order of the file, or a random subset."""
    from pcdiff.clouds.files import read_cloud

    read, remarks = read_cloud(shape.path)
    cloud = read.numpy()
    available = len(cloud)
    if available < points:
        raise InputError(f"{shape.path} has {available} points, expected at least {points}")
    if available > points:
        cloud = cloud[shape.generator(seed).choice(available, points, replace=False)]
    if (cloud == cloud[0]).all():
        raise InputError(f"all points of {shape.path} are equal, expected different points")
    return ShapePoints(cloud, available, remarks)


def points_of_file(shape: Shape, points: int, seed: int) -> ShapePoints:
    """Draw points on a mesh file, or resample a cloud file, in the axes and unit of the file.

    From a cloud with more points, a random subset is taken. A cloud with fewer points is taken as
    often as needed, and the rest of its points are a random subset, so that points are repeated.
    """
    from pcdiff.clouds.files import checked_cloud

    geometry = read_geometry(shape.path)
    if geometry.faces is not None:
        mesh = mesh_of(shape.path, geometry)
        drawn = sample_surface(mesh, points, shape.generator(seed))
        return ShapePoints(drawn, None, geometry.remarks)
    cloud = checked_cloud(str(shape.path), geometry.vertices)
    if (cloud == cloud[0]).all():
        raise InputError(f"all points of {shape.path} are equal, expected different points")
    whole, rest = divmod(points, len(cloud))
    if whole != 1 or rest:
        chosen = shape.generator(seed).permutation(len(cloud))[:rest]
        order = np.concatenate([np.tile(np.arange(len(cloud)), whole), chosen])
        return ShapePoints(cloud[order], len(cloud), geometry.remarks)
    return ShapePoints(cloud, len(cloud), geometry.remarks)


def attempt(read: Reader, shape: Shape) -> ShapePoints | str:
    """Read the points of a shape, or return one sentence about the error if reading fails."""
    try:
        return read(shape)
    except InputError as error:
        return str(error)
