"""Say what an HDF5 file of another layout holds, and how its clouds would become readable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pcdiff.hdf5 import names

if TYPE_CHECKING:
    import h5py

EXPECTED = "one floating-point dataset /{synset id}/{train|val|test} of shape (shapes, points, 3)"

_DEEPEST, _MOST_GROUPS = 4, 200


def found_instead(group: h5py.Group) -> str:
    """Describe the first datasets in a group, and how to store their clouds for `read_clouds`.

    Links to other places and other files are not followed.

    Args:
        group: A file or a group without a readable dataset.

    Returns:
        The end of a sentence, such as "/03001627/train holds 6 datasets, which are clouds of 300 to
        350 points: draw the same number of points from each cloud, and store the clouds as …".
    """
    for index, (inner, datasets) in enumerate(_groups(group, _DEEPEST)):
        if datasets:
            return _described(inner, datasets)
        if index >= _MOST_GROUPS:
            break
    return f"no dataset was found, expected {EXPECTED}"


def unequal_clouds(what: str) -> str:
    """Say that a dataset holds clouds of unequal numbers of points; `what` names the dataset."""
    return (
        f"{what} holds clouds of unequal numbers of points: draw the same number of points from "
        "each cloud, and store the clouds as floating-point numbers of shape (shapes, points, 3)"
    )


def _described(group: h5py.Group, datasets: list[h5py.Dataset]) -> str:
    shapes: list[tuple[int, ...]] = [dataset.shape or () for dataset in datasets]
    first = datasets[0]
    if any(dataset.dtype.kind == "O" for dataset in datasets):
        ragged = next(dataset for dataset in datasets if dataset.dtype.kind == "O")
        if ragged.shape and len(ragged.shape) <= 2:
            return unequal_clouds(str(ragged.name))
    if all(len(shape) == 2 and shape[1] >= 3 for shape in shapes) and len(shapes) > 1:
        least, most = min(shape[0] for shape in shapes), max(shape[0] for shape in shapes)
        points = f"{least} points each" if least == most else f"{least} to {most} points"
        draw = "" if least == most else "draw the same number of points from each cloud, and "
        return (
            f"{group.name} holds {len(shapes)} datasets, which are clouds of {points}: {draw}store "
            f"the clouds as {EXPECTED}"
        )
    clouds = next((d for d in datasets if len(d.shape or ()) == 3 and d.shape[2] >= 3), None)
    if clouds is not None:
        only = " x, y and z of" if clouds.shape[2] > 3 else ""
        return f"{clouds.name} has the shape {clouds.shape}: store{only} its clouds as {EXPECTED}"
    return (
        f"{first.name} has the shape {first.shape} and the type {first.dtype}, expected {EXPECTED}"
    )


def _groups(group: h5py.Group, depth: int) -> Iterator[tuple[h5py.Group, list[h5py.Dataset]]]:
    """Yield a group and the groups in it, each with the datasets that it holds directly."""
    import h5py

    hard = [
        name for name in names(group) if isinstance(group.get(name, getlink=True), h5py.HardLink)
    ]
    inner = [group[name] for name in hard]
    yield group, [each for each in inner if isinstance(each, h5py.Dataset)]
    if depth:
        for each in inner:
            if isinstance(each, h5py.Group):
                yield from _groups(each, depth - 1)
