"""The objects to label in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pcdiff.errors import InputError


@dataclass(frozen=True)
class Target:
    """One object to label in a folder.

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


def check_names(folder: Path, targets: Sequence[Target]) -> None:
    """Raise an error if the labels of two objects would have the same file name.

    Args:
        folder: Folder of the objects.
        targets: Objects to label.

    Raises:
        InputError: If two objects have the same name.
    """
    seen: dict[str, Target] = {}
    for target in targets:
        other = seen.setdefault(target.name, target)
        if other is not target:
            raise InputError(
                f"{folder} has {other.file} and {target.file}, whose labels would both be named "
                f"{target.name}.h5: rename one of the two meshes"
            )


def check_content(folder: Path, target: Target) -> None:
    """Raise an error if a mesh file is not the file that the catalogue lists.

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
