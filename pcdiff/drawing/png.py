"""PNG files of pictures."""

from __future__ import annotations

import io
from pathlib import Path

from pcdiff.drawing.parts import Image
from pcdiff.errors import InputError
from pcdiff.files import atomic_write


def save_png(path: str | Path, image: Image) -> None:
    """Write a picture as a PNG file, completely or not at all.

    Args:
        path: Path of the file; an existing file is replaced.
        image: The picture.

    Raises:
        InputError: If the path does not end in .png, or the file cannot be written.
    """
    from PIL import Image as pillow

    if Path(path).suffix.lower() != ".png":
        raise InputError(f"the file name of a picture must end in .png, got {path}")
    with atomic_write(path) as temporary:
        pillow.fromarray(image).save(temporary, format="PNG")


def png_bytes(image: Image) -> bytes:
    """Return a picture as the bytes of a PNG file.

    Args:
        image: The picture.
    """
    from PIL import Image as pillow

    with io.BytesIO() as file:
        pillow.fromarray(image).save(file, format="PNG")
        return file.getvalue()
