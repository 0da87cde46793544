"""Mesh files in folders, and the names of their labels."""

from __future__ import annotations

import re
from pathlib import Path

from pcdiff.errors import InputError

ENDINGS = (".obj", ".stl", ".ply", ".off", ".glb", ".dae")
"""File name extensions of meshes."""


def mesh_files(folder: Path) -> list[Path]:
    """Return a sorted list of the mesh files in a folder and its subfolders.

    Files of convex parts, `*.parts.obj`, are not included.

    Args:
        folder: Folder to search.

    Raises:
        InputError: If the folder does not exist or has no mesh.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in ENDINGS
        and path.is_file()
        and not path.name.lower().endswith(".parts.obj")
    )
    if not files:
        raise InputError(
            f"{folder} has no mesh: expected files with the ending {', '.join(ENDINGS)}"
        )
    return files


def file_name(text: str) -> str:
    """Convert a text to a file name: characters other than letters, digits and `. + -` become `_`.

    Args:
        text: Text to convert.
    """
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)


def mesh_name(file: Path) -> str:
    """Return the name of a mesh, which is the path of its file, converted to a file name.

    The ending is part of the name, because it may be the only difference between two files.

    Args:
        file: Path relative to the folder.
    """
    return file_name("_".join([*file.parts[:-1], file.stem, file.suffix[1:].lower()]))
