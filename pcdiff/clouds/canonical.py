"""The canonical file for a set of point clouds.

A canonical file is an HDF5 file with one HDF5 dataset per category and split. The path of a dataset
is `/{ShapeNet synset id}/{train|val|test}`, its type is float32, and its array shape is
(shapes, points, 3). The widely used `shapenet.hdf5` has this layout and can be read directly.
Readers ignore attributes and all other groups and datasets. The coordinates have the unit and the
axes of the source of the clouds; the attributes of the file state the unit and the axes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pcdiff.clouds.categories import describe_category, synset_id
from pcdiff.clouds.files import to_float32
from pcdiff.clouds.layout import found_instead, unequal_clouds
from pcdiff.errors import InputError
from pcdiff.hdf5 import check_dataset, find, listed, names, new_hdf5, open_hdf5

if TYPE_CHECKING:
    import h5py


SPLITS = ("train", "val", "test")


def categories(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """Count the shapes in each split of each category of a canonical file.

    Args:
        path: Canonical HDF5 file.

    Returns:
        `{category: {split: shapes}}`, with categories sorted and splits in the order of `SPLITS`.

    Raises:
        InputError: If the file is missing, damaged, or has another layout.
    """
    with _canonical_file(path) as datasets:
        return {
            category: {split: _shapes(dataset) for split, dataset in splits.items()}
            for category, splits in datasets.items()
        }


def read_clouds(
    path: str | os.PathLike[str], category: str, split: str
) -> Float[Tensor, "shapes points 3"]:
    """Read one split of one category into memory, without reading the rest of the file.

    Args:
        path: Canonical HDF5 file.
        category: Synset id or common name, e.g. "03001627" or "chair".
        split: Name of the split: "train", "val" or "test".

    Returns:
        The clouds as float32 (other floating-point types are converted), in the file's unit.

    Raises:
        InputError: If the file is missing, damaged or has another layout; if the file lacks the
            category or the split; or if the dataset has a wrong array shape or type, no shapes,
            fewer than 2 points per shape, or a number that is not finite.
    """
    if split not in SPLITS:
        raise InputError(f"the split must be train, val or test, got {split!r}")
    with _canonical_file(path) as datasets:
        group = category if category in datasets else synset_id(category)
        if group not in datasets:
            _check_no_group(path, datasets, group)
            there = ", ".join(describe_category(each) for each in datasets)
            raise InputError(f"{path} has no category {category!r}, only {there}")
        if split not in datasets[group]:
            _check_no_group(path, datasets, f"{group}/{split}")
            raise InputError(
                f"{path} has no split {split!r} of category {describe_category(group)}, "
                f"only {', '.join(datasets[group])}"
            )
        dataset = datasets[group][split]
        what = f"the dataset /{group}/{split} of {path}"
        _check_layout(what, dataset.shape, dataset.dtype)
        try:
            check_dataset(dataset)
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        # HDF5 converts the numbers to float32 while it reads them, which saves memory.
        clouds = np.empty(dataset.shape, np.float32)
        dataset.read_direct(clouds)
    _check_finite(what, clouds)
    return torch.from_numpy(clouds)


def write_clouds(
    path: str | os.PathLike[str],
    clouds: Mapping[str, Mapping[str, Tensor | NDArray[Any]]],
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write a canonical file, completely or not at all.

    Args:
        path: HDF5 file to write; an existing file is replaced.
        clouds: Clouds as `{category: {split: (shapes, points, 3)}}`. A common name becomes
            its synset id, and floating-point numbers become float32.
        attributes: Attributes of the file: the source of the clouds, their unit and their axes.

    Raises:
        InputError: If there are no clouds, `read_clouds` would reject an array, or the file cannot
            be written.
    """
    with cloud_writer(path, attributes) as writer:
        for category, splits in clouds.items():
            for split, array in splits.items():
                writer.write(category, split, array)


@contextlib.contextmanager
def cloud_writer(
    path: str | os.PathLike[str], attributes: Mapping[str, str | int | float] | None = None
) -> Iterator[CloudWriter]:
    """Write a canonical file one split at a time.

    The file is built in memory, and appears at `path` when the `with` block ends. If the block
    raises, no file is written.

    Args:
        path: HDF5 file to write; an existing file is replaced.
        attributes: Attributes of the file: the source of the clouds, their unit and their axes.

    Raises:
        InputError: If the file cannot be written, or the `with` block writes no clouds.
    """
    with new_hdf5(path) as file:
        file.attrs.update(attributes or {})
        yield CloudWriter(path, file)
        if not len(file):
            raise InputError(f"cannot write {path}: there are no clouds to write")


class CloudWriter:
    """A canonical file that is open for writing; `cloud_writer` opens the file."""

    def __init__(self, path: str | os.PathLike[str], file: h5py.File) -> None:
        """Wrap an open HDF5 file; `path` is the name of the file in error messages."""
        self._path = path
        self._file = file

    def write(self, category: str, split: str, clouds: Tensor | NDArray[Any]) -> None:
        """Write one split of one category.

        Args:
            category: Synset id or common name.
            split: Name of the split: "train", "val" or "test".
            clouds: Floating-point numbers of shape (shapes, points, 3).

        Raises:
            InputError: If the split was written before; also for the reasons listed in
                `write_clouds`.
        """
        group = synset_id(category)
        if split not in SPLITS:
            raise InputError(f"the split must be train, val or test, got {split!r}")
        if not group or "/" in group or group == ".":
            raise InputError(
                "the name of a category must not be empty, be '.' or contain '/', "
                f"got {category!r} for {self._path}"
            )
        name = f"/{group}/{split}"
        if name in self._file:
            raise InputError(
                f"cannot write {self._path}: it already has the split {split} of "
                f"{describe_category(group)}"
            )
        array = clouds.detach().cpu().numpy() if isinstance(clouds, Tensor) else clouds
        what = f"the array for {name} of {self._path}"
        _check_layout(what, array.shape, array.dtype)
        array = to_float32(array)
        _check_finite(what, array)
        self._file.create_dataset(name, data=array)


@contextlib.contextmanager
def _canonical_file(
    path: str | os.PathLike[str],
) -> Iterator[dict[str, dict[str, h5py.Dataset]]]:
    """Open a canonical file, and yield its datasets as `{category: {split: dataset}}`."""
    import h5py

    with open_hdf5(path) as file:
        datasets: dict[str, dict[str, h5py.Dataset]] = {}
        try:
            for category in names(file):
                group = find(file, category)
                if isinstance(group, h5py.Group):
                    splits = {split: find(group, split) for split in SPLITS}
                    found = {k: v for k, v in splits.items() if isinstance(v, h5py.Dataset)}
                    if found:
                        datasets[category] = found
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}") from error
        if not datasets:
            there = (
                f"found {listed(file)}; {found_instead(file)}" if len(file) else "the file is empty"
            )
            raise InputError(
                f"{path} does not have the layout /{{synset id}}/{{train|val|test}}: {there}"
            )
        yield datasets


def _check_no_group(
    path: str | os.PathLike[str], datasets: dict[str, dict[str, h5py.Dataset]], name: str
) -> None:
    """Raise `InputError` if a file has the group `name`, whose clouds have another layout."""
    import h5py

    file = next(dataset for splits in datasets.values() for dataset in splits.values()).file
    group = find(file, name)
    if isinstance(group, h5py.Group):
        raise InputError(f"{path} has another layout under /{name}: {found_instead(group)}")


def _shapes(dataset: h5py.Dataset) -> int:
    return int(dataset.shape[0]) if dataset.shape else 0


def _check_layout(what: str, shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> None:
    if dtype.kind == "O" and shape:
        raise InputError(unequal_clouds(what))
    if not shape or len(shape) != 3 or shape[2] != 3:
        raise InputError(f"{what} has shape {shape}, expected (shapes, points, 3)")
    if dtype.kind != "f":
        raise InputError(f"{what} has type {dtype}, expected floating point")
    if shape[0] == 0:
        raise InputError(f"{what} has no shapes")
    if shape[1] < 2:
        raise InputError(f"{what} has {shape[1]} points per shape, expected at least 2")


def _check_finite(what: str, clouds: NDArray[np.float32]) -> None:
    for index, cloud in enumerate(clouds):
        if not np.isfinite(cloud).all():
            raise InputError(f"{what} has a coordinate that is not finite in cloud {index}")
