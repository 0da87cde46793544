"""The function that reads meshes and point clouds from files of all formats.

To add a format, write a function in a module of this folder that takes a path, returns a `Geometry`
and raises `InputError` for a damaged file; every other exception is turned into an `InputError`
that names its cause. Then add the function to `READERS` below, and to `CLOUDS` if the format may
contain a point cloud. All commands then accept the new ending.

This package reads text and table formats without a library, so that a damaged file always gives an
error that names the line or the count, and never an incomplete mesh. Textures, colours and
materials are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pcdiff.errors import InputError, reading
from pcdiff.geometry.dae import read_dae
from pcdiff.geometry.geometry import Geometry, finite_part
from pcdiff.geometry.kinds import check_kind
from pcdiff.geometry.limits import check_file
from pcdiff.geometry.obj import read_obj
from pcdiff.geometry.off import read_off
from pcdiff.geometry.pcd import read_pcd
from pcdiff.geometry.ply import read_ply
from pcdiff.geometry.scenes import read_glb
from pcdiff.geometry.stl import read_stl
from pcdiff.geometry.tables import read_npy_points, read_xyz

READERS: dict[str, Callable[[Path], Geometry]] = {
    ".obj": read_obj,
    ".stl": read_stl,
    ".ply": read_ply,
    ".off": read_off,
    ".glb": read_glb,
    ".dae": read_dae,
    ".pcd": read_pcd,
    ".xyz": read_xyz,
    ".txt": read_xyz,
    ".pts": read_xyz,
    ".csv": read_xyz,
    ".asc": read_xyz,
    ".npy": read_npy_points,
}
"""The reader for each file ending."""


CLOUDS = (".ply", ".pcd", ".xyz", ".txt", ".pts", ".csv", ".asc", ".npy")
"""Endings of the files that may contain a point cloud."""


_KINDS = {
    ".obj": "an OBJ file",
    ".stl": "an STL file",
    ".ply": "a PLY file",
    ".off": "an OFF file",
    ".glb": "a glb file",
    ".dae": "a COLLADA file",
    ".pcd": "a PCD file",
    ".npy": "a .npy file",
}
"""Name of the format of each file ending, for error messages."""


def read_geometry(path: Path) -> Geometry:
    """Read a mesh or a point cloud.

    - Meshes: .obj, .stl, .ply, .off, .glb and .dae.
    - Clouds: .ply, .pcd, .npy, and text with one point per line: .xyz, .txt, .pts, .csv and .asc.

    Points, normals and faces with a number that is not finite, and faces with fewer than 3 corners,
    are left out. The remarks of the result say how many, and how columns without names were read.

    Args:
        path: File to read. The ending of the file name determines the format.

    Raises:
        InputError: If the file is missing, empty, damaged, of another format, or larger than the
            limits in `pcdiff.geometry.limits`; or if a face has a vertex that does not exist, or
            nothing in the file is finite.
    """
    ending = path.suffix.lower()
    reader = READERS.get(ending)
    if reader is None:
        raise InputError(f"the name of {path} must end in {', '.join(READERS)}")
    check_file(path)
    kind = _KINDS.get(ending, "text with one point per line")
    check_kind(path, kind)
    with reading(path, kind):
        geometry = finite_part(path, reader(path))
    return replace(geometry, remarks=tuple(f"{path}: {note}" for note in geometry.remarks))
