"""Find the objects of a folder that are to be labelled."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from datasets.household.catalogue import CATALOGUE, read_catalogue
from datasets.household.meshes import mesh_files
from grasp.physics import PROTOCOL
from pcdiff.errors import InputError


@dataclass(frozen=True)
class Target:
    """One object of a folder.

    Attributes:
        name: Name of the object, unique in the folder.
        family: Family of the object; "mesh" if the folder has no catalogue.
        file: Mesh file, relative to the folder, with forward slashes.
        mass: Mass in kilograms; None if the folder has no catalogue.
        friction: Coefficient of friction against a gripper's pads.
        licence: Licence of the mesh.
        content_sha256: SHA-256 of the mesh file; None if the folder has no catalogue.
    """

    name: str
    family: str
    file: str
    mass: float | None
    friction: float
    licence: str
    content_sha256: str | None


def targets_in(folder: Path, friction: float | None = None) -> list[Target]:
    """List the objects in a folder: those of its catalogue, or all its meshes if it has none.

    Args:
        folder: Folder of the objects.
        friction: Coefficient of friction of all objects if the folder has no catalogue; the
            protocol's friction if None.

    Raises:
        InputError: If there is no mesh, two meshes would have the same name, or the catalogue
            cannot be read.
    """
    if (folder / CATALOGUE).exists():
        targets = [
            Target(e.name, e.family, e.file, e.mass, e.friction, e.licence, e.sha256)
            for e in read_catalogue(folder)
        ]
    else:
        given = PROTOCOL.friction if friction is None else friction
        files = [path.relative_to(folder) for path in mesh_files(folder)]
        targets = [
            Target(_name(file), "mesh", file.as_posix(), None, given, "unknown", None)
            for file in files
        ]
    seen: dict[str, Target] = {}
    for target in targets:
        other = seen.setdefault(target.name, target)
        if other is not target:
            raise InputError(
                f"{folder} has {other.file} and {target.file}, whose labels would both be named "
                f"{target.name}.h5: rename one of them"
            )
    return targets


def check_content(folder: Path, target: Target) -> None:
    """Raise if a mesh file is not the one that the catalogue lists.

    Args:
        folder: Folder of the objects.
        target: Object with the mesh to check.

    Raises:
        InputError: If the file cannot be read or has changed.
    """
    if target.content_sha256 is None:
        return
    path = folder / target.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if digest != target.content_sha256:
        raise InputError(
            f"{path} is not the mesh that the catalogue lists: expected the SHA-256 "
            f"{target.content_sha256}, got {digest}"
        )


def file_name(text: str) -> str:
    """Turn a text into a file name: characters other than letters, digits, . + and - become _.

    Args:
        text: Text to convert.
    """
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text)


def _name(file: Path) -> str:
    """Name a mesh that no catalogue lists: its path with the extension, turned into a file name."""
    return file_name("_".join([*file.parts[:-1], file.stem, file.suffix[1:].lower()]))
