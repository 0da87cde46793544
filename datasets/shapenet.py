"""ShapeNetCore v2 as a canonical file: `python -m datasets.shapenet FOLDER --output FILE.hdf5`.

Two folders are recognised. The axes and the unit of either are kept: y is up, -z is the front, and
the diagonal of a model's bounding box is about 1.

- Meshes: `{synset id}/{model id}/models/model_normalized.obj` (Chang et al. 2015, as distributed).
  The official split is the table `all.csv` (columns id, synsetId, subSynsetId, modelId, split), in
  the folder or given by `--splits`. Points are drawn uniformly by area. A model without a row there
  is in no split and is left out; a row without a mesh is reported and skipped.
- `ShapeNetCore.v2.PC15k`: `{synset id}/{train|val|test}/{model id}.npy`, 15000 points each (Yang et
  al., "PointFlow", 2019). All points are taken in their order, or with `--points` a random choice.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from datasets.conversion import (
    Categories,
    Output,
    Strict,
    Workers,
    convert,
    report,
    separate,
)
from datasets.shapes import Shape, points_of_cloud, points_on_mesh
from pcdiff.clouds.canonical import SPLITS
from pcdiff.clouds.categories import describe_category, synset_id
from pcdiff.console import Json, Seed, Session, application, progress, run
from pcdiff.errors import InputError

POINTS_OF_MESH = 2048
POINTS_OF_PC15K = 15000

app = application("Convert ShapeNet to the canonical HDF5 file.")


def mesh_shapes(
    folder: Path, splits: Path | None = None, categories: Collection[str] | None = None
) -> tuple[list[Shape], int]:
    """The shapes of a folder of meshes, split by the official table.

    Args:
        folder: `{synset id}/{model id}/models/model_normalized.obj`.
        splits: the table; by default `all.csv` in the folder.
        categories: synset ids or common names; by default all categories of the folder.

    Returns:
        The shapes of the table in these categories, and the number of models in the folder that
        the table does not have.

    Raises:
        InputError: the table is missing or is not that table, or a category is not there.
    """
    table = splits or folder / "all.csv"
    if not table.is_file():
        raise InputError(
            f"{table} does not exist: the official split all.csv must be in the folder of meshes "
            "or be given with --splits"
        )
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
    return shapes, without_split


def cloud_shapes(folder: Path, categories: Collection[str] | None = None) -> list[Shape]:
    """The shapes of a folder in the layout of ShapeNetCore.v2.PC15k, split as it is.

    Args:
        folder: `{synset id}/{train|val|test}/{model id}.npy`.
        categories: synset ids or common names; by default all categories of the folder.

    Raises:
        InputError: a category is not there.
    """
    return [
        Shape(category.name, split, path.stem, path)
        for category in _chosen(folder, categories)
        for split in SPLITS
        for path in (category / split).glob("*.npy")
    ]


def has_meshes(folder: Path) -> bool:
    """Whether this is the folder of meshes (True) or of PC15k's clouds (False).

    Raises:
        InputError: it is neither, or both.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    there = _category_folders(folder)
    meshes = any(any(c.glob("*/models/model_normalized.obj")) for c in there)
    clouds = any(any((c / split).glob("*.npy")) for c in there for split in SPLITS)
    if meshes == clouds:
        raise InputError(
            f"{folder} holds {'both' if meshes else 'neither'} meshes as "
            f"{{synset id}}/{{model id}}/models/model_normalized.obj {'and' if meshes else 'nor'} "
            f"clouds as {{synset id}}/{{train|val|test}}/{{model id}}.npy, expected one of the two"
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
            raise InputError(f"{folder} has no category {category!r}, it has {listing}")
    return [there[group] for group in wanted]


def _mesh_of(model: Path) -> Path:
    return model / "models" / "model_normalized.obj"


def _read_splits(table: Path) -> dict[str, dict[str, str]]:
    """`{synset id: {model id: split}}`."""
    split_of: dict[str, dict[str, str]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            if not {"synsetId", "modelId", "split"} <= set(rows.fieldnames or ()):
                raise InputError(
                    f"{table} has the columns {', '.join(rows.fieldnames or ())}, "
                    "expected id, synsetId, subSynsetId, modelId and split"
                )
            for row in rows:
                synset, model, split = row["synsetId"], row["modelId"], row["split"]
                if not synset or not model or split not in SPLITS:
                    raise InputError(
                        f"{table} has in line {rows.line_num} the split {split!r} for model "
                        f"{model!r}, expected train, val or test"
                    )
                if not re.fullmatch(r"[\w.-]*\w[\w.-]*", model):
                    raise InputError(
                        f"{table} has in line {rows.line_num} the model {model!r}, which cannot "
                        "be the name of a folder"
                    )
                # Tools that take the ids for numbers drop their leading zero.
                models = split_of.setdefault(synset.zfill(8), {})
                if models.setdefault(model, split) != split:
                    raise InputError(
                        f"{table} has model {model} of {synset} in both {models[model]} and {split}"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read as a table: {error}") from error
    return split_of


@app.command()
def shapenet(
    folder: Annotated[Path, typer.Argument(help="Folder of meshes, or ShapeNetCore.v2.PC15k.")],
    output: Output,
    categories: Categories = None,
    splits: Annotated[
        Path | None, typer.Option(help="Meshes: the official split. Default: FOLDER/all.csv.")
    ] = None,
    points: Annotated[
        int | None,
        typer.Option(
            min=2,
            help=f"Points a shape. Default: {POINTS_OF_MESH} from meshes, all of PC15k.",
        ),
    ] = None,
    seed: Seed = 0,
    workers: Workers = 1,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Convert ShapeNetCore v2 (meshes with all.csv, or PC15k clouds) to a canonical HDF5 file.

    The points keep ShapeNet's axes (y is up) and its unit (a model's box has a diagonal of 1).
    A shape that cannot be read is reported and skipped.
    """
    session = Session("datasets.shapenet", seed, as_json=as_json)
    chosen = separate(categories)
    meshes = has_meshes(folder)
    if not meshes and splits is not None:
        raise InputError(f"--splits is for meshes, but {folder} holds clouds that are split")
    if meshes:
        shapes, without_split = mesh_shapes(folder, splits, chosen)
        count, read = points or POINTS_OF_MESH, points_on_mesh
    else:
        shapes, without_split = cloud_shapes(folder, chosen), 0
        count, read = points or POINTS_OF_PC15K, points_of_cloud
    attributes: dict[str, str | int | float] = {
        "source": "ShapeNetCore v2 "
        + ("meshes, official split, points uniform by area" if meshes else "PC15k clouds"),
        "normalisation": "none",
        "points": count,
        "seed": seed,
        "up": "y",
        "unit": "ShapeNet's, not metres: the diagonal of a model's bounding box is about 1",
    }
    with progress("shapes", len(shapes)) as advance:
        reader = functools.partial(read, points=count, seed=seed)
        done = convert(shapes, reader, output, attributes, workers, strict, advance)
    if without_split:
        typer.echo(f"left out {without_split} models that are in no split of the table", err=True)
    details = {"layout": "meshes" if meshes else "PC15k", "without_split": without_split}
    report(session, done, output, count, details)


if __name__ == "__main__":
    run(app)
