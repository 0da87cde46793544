"""Recognise files whose contents do not fit the ending of their name.

Formats with a fixed beginning are recognised, so that an error message can say what a file really
is: a picture, an archive, a web page, or a geometry file under another name.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pcdiff.errors import InputError
from pcdiff.geometry.limits import file_errors

_KINDS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "a PNG picture", (".png",)),
    (rb"\xff\xd8\xff", "a JPEG picture", (".jpg", ".jpeg")),
    (rb"GIF8[79]a", "a GIF picture", (".gif",)),
    (rb"II\*\0|MM\0\*", "a TIFF picture", (".tif", ".tiff")),
    (rb"RIFF....WEBP", "a WebP picture", (".webp",)),
    (rb"v/1\x01", "an OpenEXR picture", (".exr",)),
    (rb"PK(\x03\x04|\x05\x06)", "a zip archive", (".npz", ".zip")),
    (rb"\x1f\x8b", "a gzip archive", (".gz",)),
    (rb"BZh\d1AY&SY", "a bzip2 archive", (".bz2",)),
    (rb"\xfd7zXZ\0", "an xz archive", (".xz",)),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", (".7z",)),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard archive", (".zst",)),
    (rb"Rar!\x1a\x07", "a RAR archive", (".rar",)),
    (rb"%PDF-", "a PDF document", (".pdf",)),
    (rb"\x93NUMPY", "a .npy file", (".npy",)),
    (rb"\x80[\x02-\x05]", "a pickle of Python, which is never loaded", (".pkl", ".pickle")),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", (".h5", ".hdf5")),
    (rb"glTF", "a glb file", (".glb",)),
    (rb"ply\r?\n", "a PLY file", (".ply",)),
    (rb"# \.PCD", "a PCD file", (".pcd",)),
    (rb"DRACO", "a point cloud or mesh compressed with Draco", (".drc",)),
    (rb"LASF", "a LAS file", (".las", ".laz")),
    (rb"ASTM-E57", "an E57 file", (".e57",)),
    (rb"Kaydara FBX Binary", "an FBX file", (".fbx",)),
    (rb"ISO-10303-21", "a STEP file", (".step", ".stp")),
    (rb"version https://git-lfs", "a pointer of Git LFS instead of the file itself", ()),
    (rb"\s*<(!doctype html|html)", "a web page", (".html",)),
    (rb"\s*<\?xml", "an XML file", (".dae", ".xml")),
)
"""Beginning, name, and the file endings under which a file of this kind is expected."""


def kind_of(path: Path) -> tuple[str, tuple[str, ...]] | None:
    """Recognise the kind of a file by its first bytes.

    Args:
        path: File to read.

    Returns:
        The name of the kind with its article, e.g. "a PNG picture", and the endings of such files;
        None if the kind is not known.

    Raises:
        InputError: If the file cannot be read.
    """
    with file_errors(path), path.open("rb") as file:
        start = file.read(64).removeprefix(codecs.BOM_UTF8)
    for beginning, kind, endings in _KINDS:
        if re.match(beginning, start, re.IGNORECASE | re.DOTALL):
            return kind, endings
    return None


def check_kind(path: Path, expected: str, *, trust_name: bool = True) -> None:
    """Check that a file does not begin like a file of another kind.

    Args:
        path: File to check.
        expected: What the file should be, with its article, e.g. "a PLY file".
        trust_name: True if the ending of the file's name states what is expected.

    Raises:
        InputError: If the file begins like a file of another kind, or cannot be read.
    """
    kind = kind_of(path)
    if kind is not None and not (trust_name and path.suffix.lower() in kind[1]):
        raise InputError(f"{path} is {kind[0]}, expected {expected}")
