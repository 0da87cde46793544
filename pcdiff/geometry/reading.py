"""The function that reads meshes and point clouds from files of all formats.

To add a format, write a function in a module of this folder that takes a path, returns a `Geometry`
and raises `InputError` for a damaged file. Then add the function to `READERS` below. Commands that
take an object file then accept the new ending. Commands that take point clouds use another list, in
`pcdiff/clouds/files.py`.

This package reads text and table formats without a library, so that a damaged file always gives an
error that names the line or the count, and never an incomplete mesh. Textures, colours and
materials are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pcdiff.errors import InputError
from pcdiff.geometry.geometry import Geometry
from pcdiff.geometry.limits import check_file
from pcdiff.geometry.obj import read_obj
from pcdiff.geometry.off import read_off
from pcdiff.geometry.pcd import read_pcd
from pcdiff.geometry.ply import read_ply
from pcdiff.geometry.scenes import read_dae, read_glb
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
    ".npy": read_npy_points,
}
"""The reader for each file ending."""


def read_geometry(path: Path) -> Geometry:
    """Read a mesh (.obj, .stl, .ply, .off, .glb, .dae) or a cloud (.ply, .pcd, .xyz, .npy).

    Args:
        path: File to read. The ending of the file name determines the format.

    Raises:
        InputError: If the file is missing, empty, damaged, of another format, or larger than the
            limits in `pcdiff.geometry.limits`.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"the name of {path} must end in {', '.join(READERS)}")
    check_file(path)
    return reader(path)
