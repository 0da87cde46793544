"""Find ACRONYM's grasp files, and the ShapeNetSem meshes that these files name."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pcdiff.errors import InputError

LAYOUTS = ("{category}", "meshes/{category}", "", "models", "models-OBJ/models")
"""Subfolders of the mesh folder to search for HASH.obj or HASH.stl, in the order of the search."""

_NAME = re.compile(r"(?P<category>.+)_[^_]+_(?P<scale>[^_]+)")


@dataclass(frozen=True)
class FileName:
    """The parts of the name of an ACRONYM file, `Category_hash_scale.h5`.

    Attributes:
        category: Category of the object, such as `Mug`.
        scale: Text of the scale in the name.
    """

    category: str
    scale: str

    @property
    def factor(self) -> float:
        """The scale in metres per unit of the mesh; NaN if the text `scale` is not a number."""
        try:
            return float(self.scale)
        except ValueError:
            return math.nan


def parse_name(path: Path) -> FileName | None:
    """Split a file name into its parts; return None if its form is not `Category_hash_scale`.

    Args:
        path: File with the name to split.
    """
    match = _NAME.fullmatch(path.stem)
    return None if match is None else FileName(match["category"], match["scale"])


def grasp_files(folder: Path, categories: Collection[str] | None = None) -> list[Path]:
    """Return a sorted list of the ACRONYM files in a folder or in its subfolder `grasps`.

    Args:
        folder: Folder with the files `Category_hash_scale.h5`.
        categories: Names of the categories to return; None returns every .h5 file with any name.

    Raises:
        InputError: If the folder does not exist, has no .h5 file, or has no file of a requested
            category.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    files = sorted(folder.glob("*.h5")) or sorted((folder / "grasps").glob("*.h5"))
    if not files:
        raise InputError(f"{folder} has no grasps: expected files with the ending .h5")
    if categories is None:
        return files
    category_of = {path: name.category for path in files if (name := parse_name(path))}
    for category in categories:
        if category not in category_of.values():
            there = ", ".join(sorted(set(category_of.values())))
            raise InputError(
                f"{folder} has no category {category!r}; categories in the folder: "
                f"{there or 'none'}"
            )
    return [path for path, category in category_of.items() if category in categories]


def mesh_file(folder: Path, object_file: str) -> Path:
    """Find the mesh that an ACRONYM file names.

    Args:
        folder: Folder of the meshes, in one of `LAYOUTS`.
        object_file: Name of the mesh in the ACRONYM file, such as `meshes/Mug/HASH.obj`.

    Raises:
        InputError: If the mesh is missing, or its name does not have the form
            `meshes/Category/HASH.obj`.
    """
    named = PurePosixPath(object_file)
    if len(named.parts) < 2 or ".." in named.parts:
        raise InputError(
            f"the file names the mesh {object_file!r}, expected the form meshes/Category/HASH.obj"
        )
    for ending in (".obj", ".stl"):
        for layout in LAYOUTS:
            place = folder / layout.format(category=named.parent.name)
            if (path := place / f"{named.stem}{ending}").is_file():
                return path
    raise InputError(f"the mesh {named.stem}.obj or {named.stem}.stl is not in {folder}")
