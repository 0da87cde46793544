"""Write objects with labelled grasps into the folder of a set, and list the objects in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from datasets.acronym.files import parse_name
from datasets.acronym.reading import GRIPPER, PROTOCOL, LabelledObject
from datasets.household.catalogue import CATALOGUE, Entry, obj_text, read_catalogue
from datasets.household.shapes import Polyhedron
from grasp.formats import acronym, read_grasps
from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder
from pcdiff.hdf5 import new_hdf5

LABELS = f"grasps/{GRIPPER}"
"""Folder of the grasps, relative to the folder of the set."""

LICENCE = (
    "ShapeNet terms of use (non-commercial research and education); "
    "mass and friction from ACRONYM, CC BY-NC 4.0"
)
"""Licence of each object in the catalogue."""


def write_labelled(folder: Path, labelled: LabelledObject) -> None:
    """Write the mesh and the grasps of an object.

    Args:
        folder: Folder of the set.
        labelled: Object to write.

    Raises:
        InputError: If a file cannot be written.
    """
    name, obj = labelled.name, labelled.obj
    assert obj.faces is not None
    with atomic_write(_mesh_path(folder, name)) as temporary:
        temporary.write_text(obj_text([Polyhedron(obj.vertices, obj.faces)], [name]), "utf-8")
    # The grasps are written last, so that the mesh of every grasp file exists.
    with new_hdf5(_grasps_path(folder, name)) as file:
        acronym.fill(file, labelled.grasps)
        for dataset, numbers in labelled.kept.items():
            file[dataset] = numbers


def is_written(folder: Path, name: str) -> bool:
    """Return whether both the mesh file and the grasp file of an object exist.

    Args:
        folder: Folder of the set.
        name: Name of the object.
    """
    return _grasps_path(folder, name).is_file() and _mesh_path(folder, name).is_file()


def entries_in(folder: Path) -> Iterator[Entry]:
    """Yield a catalogue entry for each object in the folder of a set, sorted by name.

    Args:
        folder: Folder of the set.

    Raises:
        InputError: If a grasp file is damaged or was written by another program.
    """
    names = sorted(path.stem for path in (folder / LABELS).glob("*.h5"))
    for index, name in enumerate(name for name in names if is_written(folder, name)):
        path, mesh = _grasps_path(folder, name), _mesh_path(folder, name)
        grasps, parsed = read_grasps(path), parse_name(path)
        if grasps.protocol != PROTOCOL or parsed is None:
            raise InputError(
                f"{path} has labels from {grasps.protocol or 'an unknown protocol'}, "
                f"expected a folder without labels or with labels from {PROTOCOL}"
            )
        scale = (grasps.sampler or {}).get("scale")
        missing = [
            name
            for name, value in {
                "scale": scale,
                "success": grasps.success,
                "mass": grasps.mass,
                "friction": grasps.friction,
            }.items()
            if value is None
        ]
        if missing:
            raise InputError(
                f"{path} lacks {', '.join(missing)}, so the file is damaged: delete the file and "
                "run the program again"
            )
        assert scale is not None and grasps.success is not None
        assert grasps.mass is not None and grasps.friction is not None
        yield Entry(
            name=name,
            family=parsed.category,
            seed=0,
            index=index,
            file=mesh.relative_to(folder).as_posix(),
            parts=None,
            sha256=hashlib.sha256(mesh.read_bytes()).hexdigest(),
            mass=grasps.mass,
            friction=grasps.friction,
            licence=LICENCE,
            parameters={
                "scale": scale,
                "grasps": len(grasps),
                "successes": int(grasps.success.sum()),
            },
        )


def prepare_set_folder(folder: Path) -> None:
    """Create the folders of a set; refuse a folder with a set that another program wrote.

    Args:
        folder: Folder of the set.

    Raises:
        InputError: If the folder contains a set that another program wrote, or cannot be written.
    """
    if (folder / CATALOGUE).exists() and any(e.licence != LICENCE for e in read_catalogue(folder)):
        raise InputError(
            f"{folder} contains a set that another program wrote, expected an empty folder or a "
            "set that datasets.acronym wrote"
        )
    prepare_folder(folder / "meshes")
    prepare_folder(folder / LABELS)


def _mesh_path(folder: Path, name: str) -> Path:
    return folder / "meshes" / f"{name}.obj"


def _grasps_path(folder: Path, name: str) -> Path:
    return folder / LABELS / f"{name}.h5"
