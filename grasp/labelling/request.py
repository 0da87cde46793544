"""Label any meshes for the training of a field, as `grasp label` does.

    settings = Settings(load_gripper("panda"), count=300)
    label_meshes(["mug.obj", "bowls/"], "data/mine", settings)

The meshes are copied into the output folder, because training reads them together with their
labels. Then the folder is one that `grasp train` and `grasp.field.training.prepare_run` read:

```
OUTPUT/meshes/NAME.obj               copies of the meshes, and of their convex parts
OUTPUT/grasps/GRIPPER/NAME_obj.h5    labels, as described in `grasp.labelling.folder`
```
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from grasp.labelling.folder import (
    NO_ASSUMPTIONS,
    Assumptions,
    LabelFolder,
    LabellingResult,
    Run,
)
from grasp.labelling.jobs import Settings, attempt
from grasp.labelling.meshes import mesh_files, mesh_name
from grasp.labelling.processes import on_cores
from grasp.labelling.targets import Target, check_names
from grasp.physics import cores, protocol_named
from grasp.physics.workers import check_workers
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

MESHES = "meshes"
"""Name of the folder of meshes in the output folder."""

PROGRAM = "grasp label MESHES --output FOLDER"
"""Beginning of the command that the data card states."""

_PARTS = ".parts.obj"


@dataclass(frozen=True)
class MeshToLabel:
    """A mesh file and its place in the output folder.

    Attributes:
        source: The mesh file.
        place: Path of the copy relative to the folder `MESHES`.
    """

    source: Path
    place: Path


def meshes_to_label(paths: Iterable[str | os.PathLike[str]]) -> list[MeshToLabel]:
    """List mesh files and the mesh files in folders and their subfolders.

    Args:
        paths: Mesh files and folders.

    Raises:
        InputError: If there are no paths, a file does not exist, a folder has no mesh, or two
            meshes would have the same place in the output folder.
    """
    found: list[MeshToLabel] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [MeshToLabel(each, each.relative_to(path)) for each in mesh_files(path)]
        elif path.is_file():
            found.append(MeshToLabel(path, Path(path.name)))
        else:
            raise InputError(f"{path} does not exist")
    if not found:
        raise InputError("expected at least one mesh to label, got none")
    places: dict[str, MeshToLabel] = {}
    for mesh in found:
        # Some file systems do not distinguish upper and lower case.
        other = places.setdefault(mesh.place.as_posix().casefold(), mesh)
        if other is not mesh:
            raise InputError(
                f"the meshes {other.source} and {mesh.source} would have the same name in the "
                "output folder: rename one of the two files"
            )
    return found


def label_meshes(
    meshes: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    settings: Settings,
    assumed: Assumptions = NO_ASSUMPTIONS,
    *,
    workers: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> LabellingResult:
    """Label every mesh that has no labels in a folder yet, and write the data card.

    A script that calls this function needs the guard `if __name__ == "__main__":`, because the
    function spawns processes. Only one process at a time may label into a folder. If it is killed,
    only the unfinished objects are lost, and the next call continues with them.

    Args:
        meshes: Mesh files, and folders of mesh files.
        output: Folder for the meshes and labels; created if missing.
        settings: Gripper, candidates and seed. The labels do not depend on the number of workers.
        assumed: Scale, density and friction of the meshes.
        workers: Number of processes; 0 uses one process per core.
        advance: Function that is called after each object.

    Raises:
        InputError: If there are no meshes, a number is out of range, existing labels or meshes in
            the folder differ, a process died, or a file cannot be written.
    """
    check_workers(workers or cores())
    protocol = protocol_named(settings.protocol)
    friction = protocol.friction if assumed.friction is None else assumed.friction
    found = meshes_to_label(meshes)
    folder = Path(output)
    targets = [
        Target(
            mesh_name(mesh.place),
            "mesh",
            (Path(MESHES) / mesh.place).as_posix(),
            None,
            friction,
            "unknown",
            None,
        )
        for mesh in found
    ]
    check_names(folder, targets)
    for mesh in found:
        _copy(mesh.source, folder / MESHES / mesh.place)
    run: Run = functools.partial(on_cores, attempt, workers=workers)
    done = LabelFolder(folder, settings, assumed, PROGRAM).label(targets, run, advance)
    if not done.card["objects"]:
        raise InputError(f"no mesh can be labelled; the first error is: {done.skipped[0]}")
    return done


def _copy(source: Path, target: Path) -> None:
    """Copy a mesh and its convex parts; an equal copy stays, and another mesh is refused."""
    _copy_file(source, target)
    parts = source.with_name(source.stem + _PARTS)
    if parts.is_file():
        _copy_file(parts, target.with_name(target.stem + _PARTS))


def _copy_file(source: Path, target: Path) -> None:
    if target.exists() and source.samefile(target):
        return
    try:
        content = source.read_bytes()
        if target.is_file() and target.read_bytes() == content:
            return
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    if target.exists():
        raise InputError(
            f"{target} is another mesh than {source}: rename one, or use another output folder"
        )
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)
