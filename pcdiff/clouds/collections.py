"""Sets of clouds in a folder, in a list of files, or in one file with many clouds."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.clouds.categories import describe_category
from pcdiff.clouds.files import read_cloud
from pcdiff.clouds.scale import subsample
from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy
from pcdiff.geometry.reading import CLOUDS
from pcdiff.randomness import seeded

HDF5 = (".h5", ".hdf5")
"""File name extensions of canonical files."""


@dataclass(frozen=True, eq=False)
class NamedClouds:
    """Clouds with their names.

    Attributes:
        names: Name of each cloud: its file, or its place in a file with many clouds.
        clouds: Points of each cloud; the clouds may have different numbers of points.
        remarks: Sentences for the user about the files, such as how many points were left out.
    """

    names: tuple[str, ...]
    clouds: tuple[Float[Tensor, "_points 3"], ...]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clouds)

    def with_points(self, points: int, seed: int) -> Float[Tensor, "shapes points 3"]:
        """Return clouds with an equal number of points, which are chosen at random.

        Args:
            points: Number of points per cloud.
            seed: Seed of the choice, which also depends on the place of the cloud.

        Raises:
            InputError: If a cloud has fewer points; the message names the cloud.
        """
        chosen = []
        for index, (name, cloud) in enumerate(zip(self.names, self.clouds, strict=True)):
            if len(cloud) < points:
                raise InputError(
                    f"{name} must have at least {points} points, got {len(cloud)}",
                    parameter="points",
                )
            chosen.append(subsample(cloud[None], points, seeded(seed, index))[0])
        return torch.stack(chosen)


def load_clouds(
    paths: Iterable[str | os.PathLike[str]], category: str | None = None, split: str = "test"
) -> NamedClouds:
    """Read clouds from files and folders.

    A folder stands for all cloud files in it, sorted by name. A `.npy` file with an array of shape
    (shapes, points, 3) and a canonical HDF5 file contain many clouds.

    Args:
        paths: Files and folders.
        category: Category in canonical files; None takes the only one.
        split: Split in canonical files.

    Raises:
        InputError: If there are no clouds, a file cannot be read or is a mesh, or no category is
            given for a canonical file with several.
    """
    names: list[str] = []
    clouds: list[Tensor] = []
    remarks: list[str] = []
    for path in map(Path, paths):
        for file in _files_in(path) if path.is_dir() else [path]:
            many = _read_many(file, category, split)
            if many is None:
                names.append(str(file))
                cloud, more = read_cloud(file)
                clouds.append(cloud)
                remarks += more
            else:
                names += [f"{file}[{index}]" for index in range(len(many))]
                clouds += many.unbind()
    if not clouds:
        raise InputError("expected at least one cloud, got none")
    return NamedClouds(tuple(names), tuple(clouds), tuple(remarks))


def _files_in(folder: Path) -> list[Path]:
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in CLOUDS
    )
    if not files:
        raise InputError(
            f"{folder} has no cloud files: expected files with the ending {', '.join(CLOUDS)}"
        )
    # Texts beside other clouds are often lists and notes.
    return [path for path in files if path.suffix.lower() not in (".txt", ".csv")] or files


def _read_many(
    path: Path, category: str | None, split: str
) -> Float[Tensor, "shapes points 3"] | None:
    """Read a file with many clouds, or return None if the file has a single cloud."""
    if path.suffix.lower() in HDF5:
        if category is None:
            there = list(categories(path))
            if len(there) > 1:
                listed = ", ".join(map(describe_category, there))
                raise InputError(
                    f"{path} with {listed} has several categories: state one",
                    parameter="category",
                )
            (category,) = there
        return read_clouds(path, category, split)
    if path.suffix.lower() != ".npy" or not path.is_file():
        return None
    array = read_npy(path)
    if array.ndim != 3:
        return None
    if array.shape[2] != 3 or array.dtype.kind not in "fiu" or min(array.shape[:2]) < 1:
        raise InputError(
            f"{path} must have numbers of shape (shapes, points, 3), got {array.dtype} of shape "
            f"{array.shape}"
        )
    clouds = torch.from_numpy(np.array(array, np.float32))
    finite = clouds.isfinite().flatten(1).all(dim=1)
    if not finite.all():
        raise InputError(
            f"{path} has a coordinate that is not finite in cloud {int(finite.int().argmin())}"
        )
    return clouds
