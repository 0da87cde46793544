"""The shapes in a folder: a data set with a known layout, or any folder of clouds and meshes.

The layout is recognised by the names of folders and files:

| layout | files | split |
|---|---|---|
| ShapeNet meshes | `{synset id}/{model id}/models/model_normalized.obj` | `all.csv`, or random |
| ShapeNet PC15k | `{synset id}/{train/val/test}/{model id}.npy` | the folders |
| ModelNet | `{class}/{train/test}/*.off` | the folders; validation is part of train |
| split folders | `{category}/{train/val/test}/FILE` | the folders |
| category folders | `{category}/FILE` | random |
| files | `FILE` | random; all shapes are of one category |

FILE is a cloud or a mesh that `pcdiff.geometry.reading` reads. Files of text with the endings .txt
and .csv, which are often lists and notes, count only if there are no other shapes beside them; in
the folder itself, they count only if no folder below it has shapes.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pcdiff.clouds.canonical import SPLITS
from pcdiff.clouds.categories import synset_id
from pcdiff.clouds.conversion.modelnet import Up, modelnet_shapes, points_on_model
from pcdiff.clouds.conversion.shapenet import (
    POINTS_OF_PC15K,
    ShapeNetFolder,
    cloud_shapes,
    mesh_shapes,
)
from pcdiff.clouds.conversion.shapes import Reader, Shape, points_of_file
from pcdiff.clouds.conversion.writing import Conversion, convert
from pcdiff.errors import InputError
from pcdiff.geometry.reading import READERS

POINTS = 2048
"""Default number of points per shape; clouds of PC15k keep their 15000 points."""

FRACTIONS = (0.8, 0.1, 0.1)
"""Default shares of the splits train, val and test, for shapes without a split."""

TEXTS = (".txt", ".csv")
"""Endings of texts that may be clouds, lists or notes."""

_SYNSET = re.compile(r"\d{8}")
_MESH = "models/model_normalized.obj"


@dataclass(frozen=True)
class FolderOptions:
    """Options of the conversion of a folder.

    Attributes:
        points: Number of points per shape, at least 2; None means the default of the layout.
        categories: Categories to convert. For a folder of files without category folders, the name
            of their single category. None means all categories, or the name of the folder.
        split: Shares of the splits train, val and test for shapes without a split, or the name of
            the split of all shapes. None means the split of the layout, or `FRACTIONS`.
        seed: Seed of the points and of the splits.
        workers: Number of processes; any number gives the same result.
        strict: Whether to raise an error at the first unreadable shape instead of skipping it.
    """

    points: int | None = None
    categories: tuple[str, ...] | None = None
    split: tuple[float, float, float] | str | None = None
    seed: int = 0
    workers: int = 1
    strict: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.split, str):
            if self.split not in SPLITS:
                raise InputError(
                    f"the split must be train, val, test or three shares, got {self.split!r}",
                    parameter="split",
                )
        elif self.split is not None and not (
            all(0 <= share <= 1 for share in self.split) and abs(sum(self.split) - 1) < 1e-6
        ):
            raise InputError(
                f"the shares of train, val and test must be from 0 to 1 with the sum 1, "
                f"got {', '.join(f'{share:g}' for share in self.split)}",
                parameter="split",
            )


@dataclass(frozen=True)
class FoundShapes:
    """The shapes of a folder.

    Attributes:
        layout: Name of the layout of the folder.
        shapes: Shapes to convert, with their splits.
        points: Number of points per shape.
        notes: Sentences for the user about how the folder was understood.
        up: Axis that points up in the output, or "unknown".
        modelnet: Whether the shapes are turned as ModelNet's shapes are.
    """

    layout: str
    shapes: list[Shape]
    points: int
    notes: tuple[str, ...] = ()
    up: str = "unknown"
    modelnet: bool = False


def find_shapes(
    folder: str | os.PathLike[str], options: FolderOptions = FolderOptions()
) -> FoundShapes:
    """List the shapes in a folder, and assign them to the splits.

    Args:
        folder: Folder with one of the layouts in the description of this module.
        options: Options of the conversion.

    Raises:
        InputError: If the folder does not exist or has no shapes, a category is missing, or there
            are several categories although the folder has only files.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    synsets = [path for path in below if _SYNSET.fullmatch(path.name)]
    if any(any(path.glob(f"*/{_MESH}")) for path in synsets):
        return _shapenet_meshes(folder, synsets, options)
    split_folders = {path: [path / split for split in SPLITS] for path in below}
    if synsets and any(any(split.glob("*.npy")) for p in synsets for split in split_folders[p]):
        found = cloud_shapes(folder, options.categories)
        points = options.points or POINTS_OF_PC15K
        shapes = _with_split(found.shapes, options)
        return FoundShapes("ShapeNet PC15k", shapes, points, up="y")
    off = {split.name for each in split_folders.values() for split in each if _has_off(split)}
    if off and "val" not in off:
        shapes = modelnet_shapes(folder, options.categories, seed=options.seed)
        notes = (
            "ModelNet's shapes are turned so that y is up, and a tenth of each class's train "
            "shapes is used for validation",
        )
        points = options.points or POINTS
        return FoundShapes("ModelNet", _with_split(shapes, options), points, notes, "y", True)
    return _plain(folder, below, options)


def convert_folder(
    found: FoundShapes,
    output: str | os.PathLike[str],
    source: str,
    options: FolderOptions = FolderOptions(),
    advance: Callable[[], None] = lambda: None,
) -> Conversion:
    """Write the shapes of a folder to a canonical file.

    Args:
        found: Shapes from `find_shapes` with the same options.
        output: HDF5 file to write.
        source: Name of the source, for the attributes of the file.
        options: Options of the conversion.
        advance: Function that is called after each shape.

    Raises:
        InputError: If `convert` raises an error.
    """
    attributes: dict[str, str | int | float] = {
        "source": f"{source}: {found.layout}",
        "normalisation": "none",
        "points": found.points,
        "seed": options.seed,
        "up": found.up,
        "unit": "each file's own",
    }
    read: Reader = functools.partial(points_of_file, points=found.points, seed=options.seed)
    if found.modelnet:
        read = functools.partial(points_on_model, points=found.points, seed=options.seed, up=Up.Y)
    return convert(found.shapes, read, output, attributes, options.workers, options.strict, advance)


def random_splits(
    category: str, count: int, shares: tuple[float, float, float], seed: int
) -> list[str]:
    """Draw the split of each shape of a category.

    The numbers of val and test shapes are rounded. They are at least 1 if their share is not 0 and
    the category has at least 3 shapes. All other shapes are train shapes. The draw depends only on
    the seed, the name of the category and the number of its shapes.

    Args:
        category: Name of the category.
        count: Number of shapes.
        shares: Shares of train, val and test.
        seed: Seed of the draw.

    Returns:
        The name of a split for each shape.
    """
    least = 1 if count >= 3 else 0
    sizes = {
        split: max(least, round(share * count)) if share else 0
        for split, share in zip(SPLITS[1:], shares[1:], strict=True)
    }
    named = [split for split, size in sizes.items() for _ in range(size)][:count]
    named += ["train"] * (count - len(named))
    order = np.random.default_rng([seed, *category.encode()]).permutation(count)
    splits = [""] * count
    for place, split in zip(order.tolist(), named, strict=True):
        splits[place] = split
    return splits


def _shapenet_meshes(folder: Path, synsets: Sequence[Path], options: FolderOptions) -> FoundShapes:
    points = options.points or POINTS
    if (folder / "all.csv").is_file() and options.split is None:
        found: ShapeNetFolder = mesh_shapes(folder, None, options.categories)
        notes = ["the split is the official split in all.csv"]
        if found.without_split:
            notes.append(f"{found.without_split} models without a split are left out")
        return FoundShapes("ShapeNet meshes", found.shapes, points, tuple(notes), up="y")
    wanted = _wanted(folder, [path.name for path in synsets], options.categories)
    shapes = [
        Shape(path.name, "", mesh.parents[1].name, mesh)
        for path in synsets
        if path.name in wanted
        for mesh in sorted(path.glob(f"*/{_MESH}"))
    ]
    shapes, note = _drawn(shapes, options)
    return FoundShapes("ShapeNet meshes", shapes, points, note, up="y")


def _plain(folder: Path, below: Sequence[Path], options: FolderOptions) -> FoundShapes:
    """List the shapes of split folders, category folders or files."""
    folders = [(path, [path / split for split in SPLITS]) for path in below]
    points = options.points or POINTS
    files = _files(folder, TEXTS)
    if not files and not any(_files(path) or any(map(_files, splits)) for path, splits in folders):
        files = _files(folder)
    if files:
        names = options.categories or (folder.resolve().name,)
        if len(names) > 1:
            raise InputError(
                f"{folder} has files without category folders, so it must have one category, "
                f"got {', '.join(names)}",
                parameter="categories",
            )
        shapes, note = _drawn(_named(synset_id(names[0]), "", files), options)
        if any(_files(path, TEXTS) for path in below):
            note += ("the subfolders are left out, because the folder itself has files",)
        return FoundShapes("files", shapes, points, note)
    splits = {path: {s: _files(path / s) for s in SPLITS if (path / s).is_dir()} for path in below}
    with_splits = [path for path in below if any(splits[path].values())]
    plain = [path for path in below if path not in with_splits and _files(path)]
    if not with_splits and not plain:
        raise InputError(
            f"{folder} has no clouds or meshes: expected files with the ending "
            f"{', '.join(READERS)}, in this folder or in one folder per category"
        )
    if with_splits and plain:
        raise InputError(
            f"either all category folders must have the folders train, val and test or none, but "
            f"{with_splits[0]} has them and {plain[0]} does not"
        )
    there = with_splits or plain
    wanted = _wanted(folder, [path.name for path in there], options.categories)
    there = [path for path in there if path.name in wanted]
    if with_splits:
        shapes = [
            shape
            for path in there
            for split, found in splits[path].items()
            for shape in _named(synset_id(path.name), split, found)
        ]
        return FoundShapes("split folders", _with_split(shapes, options), points)
    shapes = [shape for path in there for shape in _named(synset_id(path.name), "", _files(path))]
    shapes, note = _drawn(shapes, options)
    return FoundShapes("category folders", shapes, points, note)


def _files(folder: Path, without: tuple[str, ...] = ()) -> list[Path]:
    """List the files of shapes in a folder; texts count only if there are no other shapes."""
    if not folder.is_dir():
        return []
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file()
        and path.suffix.lower() in READERS
        and not path.name.lower().endswith(".parts.obj")  # convex parts of another mesh
    )
    others = [path for path in found if path.suffix.lower() not in TEXTS]
    return others if others or without else found


def _has_off(folder: Path) -> bool:
    return any(folder.glob("*.off"))


def _named(category: str, split: str, files: Sequence[Path]) -> list[Shape]:
    # The ending is part of the name, because it may be the only difference between two files.
    return [Shape(category, split, path.name, path) for path in files]


def _wanted(folder: Path, there: list[str], categories: Sequence[str] | None) -> set[str]:
    """Return the names of the folders of the requested categories."""
    if categories is None:
        return set(there)
    by_group = {synset_id(name): name for name in there}
    for category in categories:
        if synset_id(category) not in by_group:
            raise InputError(
                f"{folder} has no category {category!r}; categories in the folder: "
                f"{', '.join(sorted(there))}",
                parameter="categories",
            )
    return {by_group[synset_id(category)] for category in categories}


def _with_split(shapes: list[Shape], options: FolderOptions) -> list[Shape]:
    """Return shapes with the splits of their folders, or with the requested splits."""
    return shapes if options.split is None else _drawn(shapes, options)[0]


def _drawn(shapes: list[Shape], options: FolderOptions) -> tuple[list[Shape], tuple[str, ...]]:
    """Return the shapes with the requested or drawn splits, and a note about the splits."""
    if isinstance(options.split, str):
        note = f"all shapes are in the split {options.split}"
        return [replace(shape, split=options.split) for shape in shapes], (note,)
    shares = options.split or FRACTIONS
    result = []
    for category in dict.fromkeys(shape.category for shape in shapes):
        group = [shape for shape in shapes if shape.category == category]
        splits = random_splits(category, len(group), shares, options.seed)
        result += [replace(s, split=split) for s, split in zip(group, splits, strict=True)]
    listed = " : ".join(f"{share:g}" for share in shares)
    return result, (f"the splits train : val : test = {listed} are drawn with seed {options.seed}",)
