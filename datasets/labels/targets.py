"""Find the objects to label in a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from datasets.household.catalogue import CATALOGUE, read_catalogue
from datasets.household.meshes import mesh_files, mesh_name
from grasp.physics import PROTOCOL, Protocol
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


def targets_in(
    folder: Path, friction: float | None = None, protocol: Protocol = PROTOCOL
) -> list[Target]:
    """List the objects of a folder's catalogue, or all meshes of a folder without a catalogue.

    Args:
        folder: Folder of the objects.
        friction: Coefficient of friction of all objects in a folder without a catalogue; None uses
            the protocol's friction.
        protocol: Protocol of the trials.

    Raises:
        InputError: If the folder has no mesh, the labels of two meshes would have the same file
            name, or the catalogue cannot be read.
    """
    if (folder / CATALOGUE).exists():
        targets = [
            Target(e.name, e.family, e.file, e.mass, e.friction, e.licence, e.sha256)
            for e in read_catalogue(folder)
        ]
    else:
        given = protocol.friction if friction is None else friction
        files = [path.relative_to(folder) for path in mesh_files(folder)]
        targets = [
            Target(mesh_name(file), "mesh", file.as_posix(), None, given, "unknown", None)
            for file in files
        ]
    seen: dict[str, Target] = {}
    for target in targets:
        other = seen.setdefault(target.name, target)
        if other is not target:
            raise InputError(
                f"{folder} has {other.file} and {target.file}, whose labels would both be named "
                f"{target.name}.h5: rename one of the two meshes"
            )
    return targets


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
