"""Find the objects to label in a folder."""

from __future__ import annotations

from pathlib import Path

from datasets.household.catalogue import CATALOGUE, read_catalogue
from grasp.labelling.meshes import mesh_files, mesh_name
from grasp.labelling.targets import Target, check_names
from grasp.physics import PROTOCOL, Protocol


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
    check_names(folder, targets)
    return targets
