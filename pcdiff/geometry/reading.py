"""Reads meshes and point clouds of the common formats: one reader for each.

The text and table formats are read here, not by a library, so that a damaged file becomes a
sentence that names the line or the count, never a mesh that silently lacks a part. Texture, colour
and material are ignored.
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


def read_geometry(path: Path) -> Geometry:
    """Read a mesh (.obj, .stl, .off, .glb, .dae), a cloud (.pcd, .xyz, .npy) or either (.ply).

    Args:
        path: The file; its ending says the format.

    Raises:
        InputError: It is missing, empty, damaged, larger than the limits above, or of another
            format.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} must end in one of {', '.join(READERS)}")
    check_file(path)
    return reader(path)


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
"""The reader of each ending."""
