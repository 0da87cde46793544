"""The shapes of ShapeNetCore v2, in two folder layouts.

The axes and the unit of the files are kept: y is up, -z is the front, and the diagonal of a model's
bounding box is approximately 1.

- Meshes: `{synset id}/{model id}/models/model_normalized.obj` (Chang et al. 2015, as distributed).
  The table `all.csv` (columns id, synsetId, subSynsetId, modelId, split) states the official split.
  Points are drawn uniformly by area. A model without a row in the table has no split and is left
  out; a row without a mesh is reported and skipped.
- `ShapeNetCore.v2.PC15k`: `{synset id}/{train|val|test}/{model id}.npy` with 15000 points each
  (Yang et al., "PointFlow", 2019). The converter takes all points in the order of the file, or a
  random subset of the points if the user requests fewer points.
"""

from __future__ import annotations

import csv
import functools
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from pcdiff.clouds.canonical import SPLITS
from pcdiff.clouds.categories import describe_category, synset_id
from pcdiff.clouds.conversion.shapes import Shape, points_of_cloud, points_on_mesh
from pcdiff.clouds.conversion.writing import Conversion, convert
from pcdiff.errors import InputError

POINTS_OF_MESH = 2048
"""Default number of points to draw on each mesh."""

POINTS_OF_PC15K = 15000
"""Number of points in each cloud of ShapeNetCore.v2.PC15k."""


@dataclass(frozen=True)
class ShapeNetFolder:
    """The shapes in a folder of ShapeNetCore v2.

    Attributes:
        shapes: Shapes of the official split.
        meshes: Whether the files are meshes instead of the clouds of PC15k.
        without_split: Number of models that are left out because the official split does not list
            them.
    """

    shapes: list[Shape]
    meshes: bool
    without_split: int = 0

    @property
    def layout(self) -> str:
        """Name of the folder layout: "meshes" or "PC15k"."""
        return "meshes" if self.meshes else "PC15k"


@dataclass(frozen=True)
class ShapeNetOptions:
    """Options of the conversion of ShapeNet.

    Attributes:
        points: Number of points per shape, at least 2.
        seed: Seed of the points; the points of a shape depend on the seed and the shape's name.
        workers: Number of processes; any number gives the same result.
        strict: Whether to raise an error at the first unreadable shape instead of skipping it.
    """

    points: int
    seed: int = 0
    workers: int = 1
    strict: bool = False


def mesh_shapes(
    folder: Path, splits: Path | None = None, categories: Collection[str] | None = None
) -> ShapeNetFolder:
    """List the shapes in a folder of meshes, with the splits of the official table.

    Args:
        folder: Folder with the files `{synset id}/{model id}/models/model_normalized.obj`.
        splits: Table of the official split; None means `all.csv` in the folder.
        categories: Synset ids or names of categories; None means all categories in the folder.

    Raises:
        InputError: If the table is missing or invalid, or a category is missing.
    """
    table = splits or folder / "all.csv"
    if not table.is_file():
        raise InputError(f"{table} does not exist, expected the table of the official split")
    split_of = _read_splits(table)
    shapes, without_split = [], 0
    for category in _chosen(folder, categories):
        models = split_of.get(category.name, {})
        shapes += [
            Shape(category.name, split, model, _mesh_of(category / model))
            for model, split in models.items()
        ]
        without_split += sum(
            path.name not in models and _mesh_of(path).is_file() for path in category.iterdir()
        )
    return ShapeNetFolder(shapes, True, without_split)


def cloud_shapes(folder: Path, categories: Collection[str] | None = None) -> ShapeNetFolder:
    """List the shapes in a folder of ShapeNetCore.v2.PC15k, with the splits of its subfolders.

    Args:
        folder: Folder with the files `{synset id}/{train|val|test}/{model id}.npy`.
        categories: Synset ids or names of categories; None means all categories in the folder.

    Raises:
        InputError: If a category is missing.
    """
    shapes = [
        Shape(category.name, split, path.stem, path)
        for category in _chosen(folder, categories)
        for split in SPLITS
        for path in (category / split).glob("*.npy")
    ]
    return ShapeNetFolder(shapes, False)


def has_meshes(folder: Path) -> bool:
    """Return whether a folder contains meshes instead of the clouds of PC15k.

    Args:
        folder: Folder of ShapeNetCore v2.

    Raises:
        InputError: If the folder does not exist, contains neither meshes nor clouds, or contains
            both meshes and clouds.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    there = _category_folders(folder)
    meshes = any(any(c.glob("*/models/model_normalized.obj")) for c in there)
    clouds = any(any((c / split).glob("*.npy")) for c in there for split in SPLITS)
    if meshes == clouds:
        raise InputError(
            f"{folder} must contain either meshes "
            f"({{synset id}}/{{model id}}/models/model_normalized.obj) or clouds "
            f"({{synset id}}/{{train|val|test}}/{{model id}}.npy), "
            f"got {'both' if meshes else 'neither'}"
        )
    return meshes


def _category_folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if re.fullmatch(r"\d{8}", p.name) and p.is_dir())


def _chosen(folder: Path, categories: Collection[str] | None) -> list[Path]:
    there = {path.name: path for path in _category_folders(folder)}
    if categories is None:
        return list(there.values())
    wanted = {synset_id(category): category for category in categories}
    for group, category in wanted.items():
        if group not in there:
            listing = ", ".join(describe_category(each) for each in there)
            raise InputError(
                f"{folder} has no category {category!r}; categories in the folder: {listing}"
            )
    return [there[group] for group in wanted]


def _mesh_of(model: Path) -> Path:
    return model / "models" / "model_normalized.obj"


def _read_splits(table: Path) -> dict[str, dict[str, str]]:
    """Read the table of the official split as `{synset id: {model id: split}}`."""
    split_of: dict[str, dict[str, str]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"synsetId", "modelId", "split"} <= set(rows.fieldnames or ()):
                raise InputError(
                    f"{table} has the columns {', '.join(rows.fieldnames or ())}, "
                    "expected the columns id, synsetId, subSynsetId, modelId and split"
                )
            for row in rows:
                synset, model, split = row["synsetId"], row["modelId"], row["split"]
                if not synset or not model or split not in SPLITS:
                    raise InputError(
                        f"{table} has the split {split!r} for model {model!r} in line "
                        f"{rows.line_num}, expected a model with the split train, val or test"
                    )
                if not re.fullmatch(r"[\w.-]*\w[\w.-]*", model):
                    raise InputError(
                        f"{table} has the model {model!r} in line {rows.line_num}, expected the "
                        "name of a folder"
                    )
                # Programs that read the ids as numbers drop the leading zeros.
                models = split_of.setdefault(synset.zfill(8), {})
                if models.setdefault(model, split) != split:
                    raise InputError(
                        f"{table} must list model {model} of {synset} in only one split, got "
                        f"{models[model]} and {split}"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a table: {error}") from error
    return split_of


def convert_shapenet(
    found: ShapeNetFolder,
    output: str | os.PathLike[str],
    options: ShapeNetOptions,
    advance: Callable[[], None] = lambda: None,
) -> Conversion:
    """Write shapes of ShapeNetCore v2 to a canonical file.

    Args:
        found: Shapes from `mesh_shapes` or `cloud_shapes`.
        output: HDF5 file to write.
        options: Options of the conversion.
        advance: Function that is called after each shape.

    Raises:
        InputError: If `convert` raises an error.
    """
    attributes: dict[str, str | int | float] = {
        "source": "ShapeNetCore v2 "
        + ("meshes, official split, points uniform by area" if found.meshes else "PC15k clouds"),
        "normalisation": "none",
        "points": options.points,
        "seed": options.seed,
        "up": "y",
        "unit": "ShapeNet's, not metres: the diagonal of a model's bounding box is about 1",
    }
    reader = functools.partial(
        points_on_mesh if found.meshes else points_of_cloud,
        points=options.points,
        seed=options.seed,
    )
    return convert(
        found.shapes, reader, output, attributes, options.workers, options.strict, advance
    )
