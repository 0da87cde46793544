"""Write the files of a frozen set, with the same bytes on every machine.

Two machines compute the same geometry up to rounding errors in the last bits. So coordinates are
rounded before they are written: to 0.1 µm in meshes, and to 1 µm in depth images. The digest of a
set covers the bytes of all files. Rounding cannot remove every difference: a coordinate may lie
between two rounded values within its rounding error, or another version of a library may cut
surfaces into other triangles. Then the digest differs, and the maker says so.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from datasets.household.catalogue import check_name, obj_text
from datasets.household.shapes import Polyhedron
from grasp.judging.benchmark import FORMAT, SET_FILE, sealed, set_document
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.views import View
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.limits import read_bytes

SHEET = "sheet.png"
FOLDERS = ("meshes", "rough", "views")

_DIGITS = 7
"""Decimal digits of coordinates in metres."""

_DEPTH_DIGITS = 6
"""Decimal digits of depths in metres."""


class SetFolder:
    """A folder into which a set is written; `close` writes `set.json` at the end.

    Args:
        path: Folder to write. An older set in the folder is removed.

    Raises:
        InputError: If the folder contains anything other than a set.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, str] = {}
        self._cases: list[dict[str, Any]] = []
        _clear(path)

    @property
    def cases(self) -> int:
        """Number of cases so far."""
        return len(self._cases)

    @property
    def groups(self) -> int:
        """Number of different objects so far."""
        return len({case["group"] for case in self._cases})

    def add(self, name: str, content: bytes) -> str:
        """Write a file and return its name.

        Args:
            name: Path of the file in the folder, with forward slashes.
            content: Bytes of the file.

        Raises:
            InputError: If the set already has another file of this name, or the file cannot be
                written.
        """
        digest = hashlib.sha256(content).hexdigest()
        if self._files.setdefault(name, digest) != digest:
            raise InputError(f"{self.path / name} would be written twice with different contents")
        with atomic_write(self.path / name) as temporary:
            temporary.write_bytes(content)
        return name

    def mesh(self, name: str, mesh: Polyhedron, parts: tuple[Polyhedron, ...] = ()) -> str:
        """Write a mesh, with its exact convex parts beside it, and return the name of its file.

        Args:
            name: Path of the file in the folder, without the ending `.obj`.
            mesh: Surface in metres.
            parts: Convex parts in metres; empty if they are unknown.

        Raises:
            InputError: If the file cannot be written.
        """
        stem = name.rpartition("/")[2]
        check_name(stem)
        if parts:
            names = [f"part_{number}" for number in range(len(parts))]
            self.add(f"{name}.parts.obj", obj_text([_rounded(p) for p in parts], names).encode())
        return self.add(f"{name}.obj", obj_text([_rounded(mesh)], [stem]).encode())

    def view(self, name: str, view: View) -> str:
        """Write a depth image as an uncompressed .npz file, and return the name of the file.

        Args:
            name: Path of the file in the folder, without the ending `.npz`.
            view: Depth image.

        Raises:
            InputError: If the file cannot be written.
        """
        arrays = {
            "depth": np.round(view.depth, _DEPTH_DIGITS).astype(np.float32),
            "mask": view.mask,
            "intrinsics": view.intrinsics,
            "T_camera_object": np.round(view.T_camera_object, 9),
        }
        return self.add(f"{name}.npz", _npz(arrays))

    def load(self, name: str) -> Object:
        """Read a mesh of the set, so that later steps start from the rounded coordinates.

        Args:
            name: Name of the file in the folder.

        Raises:
            InputError: If the mesh cannot be read.
        """
        return load_object(self.path / name)

    def case(
        self,
        name: str,
        group: str,
        truth: str,
        *,
        seen: str | None = None,
        T_table_object: np.ndarray | None = None,
        origin: dict[str, Any] | None = None,
    ) -> None:
        """Add a case to the set; see `grasp.judging.benchmark.Case`.

        Args:
            name: Name of the case, unique in the set.
            group: Name of the underlying object.
            truth: Name of the file of the true mesh.
            seen: Name of the file that a sampler sees; None means the true mesh.
            T_table_object: Pose of the object on the table; None if there is no table.
            origin: Description of how the case was made, in values of JSON.
        """
        # Adding 0 turns −0 into 0, whose sign may differ between machines.
        pose = None if T_table_object is None else (np.round(T_table_object, 9) + 0.0).tolist()
        self._cases.append(
            {
                "name": name,
                "group": group,
                "truth": truth,
                "seen": truth if seen is None else seen,
                "T_table_object": pose,
                "origin": origin or {},
            }
        )

    def seal(self, name: str, about: str, licence: str) -> tuple[bytes, str]:
        """Return the bytes of `set.json` and the digest of the set.

        Args:
            name: Name of the set.
            about: One sentence about the content of the set.
            licence: Licence of the meshes.
        """
        return sealed(set_document(name, about, licence, self._files, self._cases))

    def close(self, content: bytes) -> None:
        """Write `set.json`, after which the set is complete.

        Args:
            content: Bytes from `seal`.

        Raises:
            InputError: If the file cannot be written.
        """
        with atomic_write(self.path / SET_FILE) as temporary:
            temporary.write_bytes(content)


def _clear(folder: Path) -> None:
    """Remove an older set, and refuse a folder with other content."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder, expected a folder for a set")
    names = {path.name for path in folder.iterdir()}
    if unknown := sorted(names - {SET_FILE, SHEET, *FOLDERS}):
        raise InputError(
            f"{folder} contains {unknown[0]}, which is no part of a set: expected an empty folder "
            "or an older set"
        )
    old = folder / SET_FILE
    if old.exists() and FORMAT.encode() not in read_bytes(old):
        raise InputError(f"{old} is not the list of a set: expected an empty folder or a set")
    old.unlink(missing_ok=True)  # first, so that an interrupted removal leaves no set behind
    (folder / SHEET).unlink(missing_ok=True)
    for name in FOLDERS:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)


def _rounded(mesh: Polyhedron) -> Polyhedron:
    return Polyhedron(np.round(mesh.vertices, _DIGITS) + 0.0, mesh.faces)


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    """Return a .npz file without compression, whose bytes depend on the arrays only.

    `numpy.savez` would write the operating system into the file, and compressed bytes depend on the
    version of zlib.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            little = array.astype(array.dtype.newbyteorder("<"))
            np.lib.format.write_array(content, np.ascontiguousarray(little), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3
            archive.writestr(entry, content.getvalue())
    return file.getvalue()
