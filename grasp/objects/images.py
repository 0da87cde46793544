"""Readers of pictures: depth images and masks as PNG, TIFF or NumPy files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Shaped

from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy
from pcdiff.geometry.kinds import check_kind
from pcdiff.geometry.limits import MAXIMUM_POINTS, check_count, check_file, read_bytes

PICTURES = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}
"""Format of each file-name ending of a picture."""

MASKS = (*PICTURES, ".npy")
"""File-name endings of masks."""

_LISTED = 8  # largest number of mask values in an error message
_SAME_COLOUR = 0.1  # largest difference between two colours of equal brightness that count as one


def read_picture(path: Path) -> tuple[Shaped[np.ndarray, "..."], str]:
    """Read a picture.

    Args:
        path: A .png, .tif or .tiff file.

    Returns:
        The pixels, of shape (height, width) or (height, width, channels), and the mode of the
        picture in the words of Pillow, e.g. "I;16". Pixels of a palette picture are numbers of
        colours.

    Raises:
        InputError: If the file is missing, damaged, too large or in another format.
    """
    from PIL import Image

    kind = PICTURES[path.suffix.lower()]
    content = io.BytesIO(read_bytes(path))
    check_kind(path, f"a {kind} picture")
    try:
        with warnings.catch_warnings():
            # Pillow warns of many pixels, and of the metadata of a damaged picture.
            warnings.simplefilter("ignore")
            with Image.open(content, formats=[kind]) as image:
                width, height = image.size
                check_count(path, width * height, MAXIMUM_POINTS, "pixels")
                return np.asarray(image), image.mode
    except InputError:
        raise
    except (
        OSError,
        ValueError,
        SyntaxError,
        TypeError,
        LookupError,
        OverflowError,
        Image.DecompressionBombError,
    ) as error:
        raise InputError(f"{path} is a damaged {kind} file") from error


def read_depth(path: Path) -> Shaped[np.ndarray, "height width"]:
    """Read a depth image in the unit of the file.

    Args:
        path: A .png, .tif, .tiff or .npy file.

    Raises:
        InputError: If the file is missing, damaged or too large, or is a coloured picture.
    """
    if path.suffix.lower() not in PICTURES:
        return np.array(read_npy(path))
    pixels, mode = read_picture(path)
    if pixels.ndim != 2 or mode == "P":
        raise InputError(
            f"{path} must have one channel of numbers, got an image of mode {mode}: a coloured "
            "picture is no depth image"
        )
    return pixels


def read_mask(path: Path) -> Shaped[np.ndarray, "..."]:
    """Read a mask, in which pixels outside the object have the value 0.

    A coloured mask shows objects in colours on black; the value of a pixel is then 1, or 65536 R +
    256 G + B if there are several colours. A mask with a transparent background shows the object in
    the opaque pixels.

    Args:
        path: A .png, .tif, .tiff or .npy file.

    Raises:
        InputError: If the file is missing, damaged, too large or in another format.
    """
    ending = path.suffix.lower()
    if ending == ".npy":
        return np.array(read_npy(path))
    if ending not in PICTURES:
        check_file(path)
        check_kind(path, f"a mask in a {', '.join(MASKS)} file", trust_name=False)
        raise InputError(f"the mask must be a {', '.join(MASKS)} file, got {path}")
    pixels, mode = read_picture(path)
    if pixels.ndim == 2:
        return pixels
    if mode in ("RGBA", "LA"):
        opaque = np.asarray(pixels[..., -1] > 0)
        pixels = pixels[..., :-1]
        if not opaque.all() or not pixels.any():
            return opaque
    if mode == "CMYK" or pixels.dtype != np.uint8:
        raise InputError(f"the mask {path} must be black and white or RGB, got the mode {mode}")
    colours = pixels.astype(np.int64)
    lit = np.asarray(colours.any(axis=-1))
    hues = colours[lit] / np.maximum(colours[lit].max(axis=-1, keepdims=True), 1)
    if not lit.any() or np.ptp(hues, axis=0).max() <= _SAME_COLOUR:
        return lit
    return colours @ np.array([65536, 256, 1])[-colours.shape[-1] :]


def object_in_mask(
    mask: Shaped[np.ndarray, "height width"], mask_id: int | None, what: str
) -> Bool[np.ndarray, "height width"]:
    """Return the pixels of the object in a mask of whole numbers.

    Args:
        mask: Value of each pixel; 0 outside all objects.
        mask_id: Value of the object's pixels; None if the mask has only one value besides 0.
        what: Name of the mask in error messages.

    Raises:
        InputError: If the mask has several values and `mask_id` is None, or no pixel has the value.
    """
    values, counts = np.unique(mask[mask != 0], return_counts=True)
    if mask_id is None and len(values) <= 1:
        return mask != 0
    if mask_id is not None and mask_id != 0 and mask_id in values:
        return mask == mask_id
    order = np.argsort(-counts, kind="stable")[:_LISTED]
    listed = ", ".join(f"{int(values[i])} ({counts[i]} pixels)" for i in order)
    more = f" and {len(values) - _LISTED} more" if len(values) > _LISTED else ""
    if mask_id is None:
        raise InputError(
            f"{what} has {len(values)} values, so state which is the object: {listed}{more}",
            parameter="mask_id",
        )
    raise InputError(
        f"{what} has no pixel with the value {mask_id}, only {listed or 'zeros'}{more}",
        parameter="mask_id",
    )
