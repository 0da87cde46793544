"""Depth images: the pinhole camera, and readers for two file formats.

In the camera frame, x points to the right, y down and z forward, in metres. Pixel coordinates are
(u, v) = (column, row); the centre of a pixel has whole-number coordinates. A depth is the z
coordinate of the visible point, not the point's distance from the camera. A depth of 0 means that
the camera measured nothing.
"""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from pcdiff.errors import InputError, cause_of
from pcdiff.geometry.arrays import read_npy, read_npz
from pcdiff.geometry.kinds import check_kind
from pcdiff.geometry.limits import (
    DAMAGED_JSON,
    MAXIMUM_POINTS,
    UNITS,
    check_count,
    check_file,
    read_bytes,
)


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A depth image with its camera.

    Attributes:
        depth: Depth of each pixel in metres; 0 where nothing was measured.
        intrinsics: Intrinsic matrix of the camera in pixels.
        mask: True for each pixel that shows the object; None if all pixels show the object.
        scale: Factor that converted the depths in the file to metres.
    """

    depth: Float[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    mask: Bool[np.ndarray, "height width"] | None = None
    scale: float = 1.0

    def points(self) -> Float[np.ndarray, "points 3"]:
        """Return the visible points of the object in metres, in the camera frame."""
        seen = self.depth > 0 if self.mask is None else self.mask & (self.depth > 0)
        return back_project(self.depth, self.intrinsics)[seen]


def intrinsics_matrix(fx: float, fy: float, cx: float, cy: float) -> Float[np.ndarray, "3 3"]:
    """Return the intrinsic matrix, in pixels, of a pinhole camera without skew.

    Args:
        fx: Horizontal focal length in pixels.
        fy: Vertical focal length in pixels.
        cx: Column of the principal point in pixels.
        cy: Row of the principal point in pixels.
    """
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def pixel_rays(
    intrinsics: Float[np.ndarray, "3 3"], height: int, width: int
) -> Float[np.ndarray, "height width 3"]:
    """Compute the point K⁻¹ (u, v, 1), at depth 1 in the camera frame, for each pixel (u, v).

    Args:
        intrinsics: Intrinsic matrix K of the camera in pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
    """
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    return np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(intrinsics).T


def back_project(
    depth: Float[np.ndarray, "height width"], intrinsics: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "height width 3"]:
    """Compute the point z K⁻¹ (u, v, 1), in the camera frame, that each pixel (u, v) shows.

    Args:
        depth: Depth z of each pixel, in any unit.
        intrinsics: Intrinsic matrix K of the camera in pixels.

    Returns:
        Points in the unit of the depth. A pixel of depth 0 gives the origin.
    """
    return depth[..., None] * pixel_rays(intrinsics, *depth.shape)


def check_intrinsics(matrix: np.ndarray, what: str = "a camera") -> None:
    """Check that a matrix is a valid intrinsic matrix of a camera.

    The matrix must be finite and have the form [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with focal
    lengths fx and fy above 0. The skew s may be any number.

    Args:
        matrix: Matrix to check.
        what: Name of the camera or file in the error message.

    Raises:
        InputError: If the matrix is not valid.
    """
    if matrix.shape != (3, 3) or matrix.dtype.kind not in "fiu":
        raise InputError(
            f"the intrinsics of {what} must be numbers of shape (3, 3), "
            f"got {matrix.dtype} of shape {matrix.shape}"
        )
    below = [matrix[1, 0], *matrix[2]]
    focal = min(matrix[0, 0], matrix[1, 1])
    if not np.isfinite(matrix).all() or focal <= 0 or below != [0, 0, 0, 1]:
        raise InputError(
            f"the intrinsics of {what} must be finite numbers [[fx, s, cx], [0, fy, cy], "
            f"[0, 0, 1]] with fx and fy above 0, got {matrix.tolist()}"
        )


def read_depth_image(
    path: Path,
    *,
    scale: float = 1.0,
    unit: str | None = None,
    intrinsics: Path | Float[np.ndarray, "3 3"] | None = None,
    mask: Path | Bool[np.ndarray, "height width"] | None = None,
) -> DepthImage:
    """Read a depth image from one of two formats.

    - `.npz`: arrays `depth` (height, width) and `intrinsics` (3, 3), and optionally `mask` (height,
      width). Depths are in metres unless `unit` or the JSON file of `intrinsics` states otherwise.
    - `.png`: one channel of whole numbers. A JSON file describes the camera of `NAME.png`, in
      pixels: `{"fx": …, "fy": …, "cx": …, "cy": …, "depth_unit": "mm"}`. The name of this file is
      `NAME.json`, unless `intrinsics` names another file. Either `unit` or `depth_unit` must
      state the unit of the depths, because 16-bit images are usually, but not always, in
      millimetres. `unit` takes precedence.

    Args:
        path: File to read.
        scale: Factor that multiplies the depths, in addition to the conversion from their unit.
        unit: Unit of the depths: m, cm, mm or inch. None means `depth_unit` in the JSON file of the
            camera; without it, depths in .npz files are in metres.
        intrinsics: Camera to use instead of the camera in the .npz file or in `NAME.json`: a JSON
            file or an intrinsic matrix.
        mask: Mask to use instead of the mask in the .npz file: an array, or a .png or .npy file.
            The mask has a value other than 0 in each pixel that shows the object.

    Raises:
        InputError: If a file is missing, damaged or too large, an array has the wrong shape, the
            camera or the unit is unknown, or a depth is negative.
    """
    stored: dict[str, np.ndarray] = {}
    stated, usual = unit, None
    if path.suffix.lower() == ".npz":
        stored = read_npz(path, ("depth", "intrinsics", "mask"))
        if "depth" not in stored:
            raise InputError(f"{path} has no array named depth")
        depth = stored["depth"]
        usual = "m"
    else:
        depth = _read_png(path)
        if intrinsics is None:
            intrinsics = path.with_suffix(".json")
            if not intrinsics.is_file():
                raise InputError(
                    f"{path} is a depth image without a camera: supply the intrinsics of "
                    f"the camera, or write the intrinsics to {intrinsics}"
                )
    matrix: np.ndarray
    if isinstance(intrinsics, Path):
        matrix, noted = _read_camera(intrinsics)
        stated = stated or noted
    elif intrinsics is not None:
        matrix = intrinsics
    elif "intrinsics" in stored:
        matrix = stored["intrinsics"]
    else:
        raise InputError(f"{path} has no array named intrinsics: supply the camera's intrinsics")
    stated = stated or usual
    if stated is None:
        raise InputError(
            f"the unit of the depths in {path} is unknown: supply the unit, or write "
            '"depth_unit": "mm" (or m, cm, inch) into the JSON file of the camera'
        )
    check_intrinsics(matrix, str(path))
    matrix = matrix.astype(np.float64)
    factor = scale * UNITS[stated]
    depth = _checked_depth(depth, path) * factor

    chosen = stored.get("mask")
    if isinstance(mask, Path):
        chosen = _read_mask(mask)
    elif mask is not None:
        chosen = mask
    if chosen is not None:
        if chosen.shape != depth.shape or chosen.dtype.kind not in "bui":
            raise InputError(
                f"the mask of {path} must be whole numbers or truth values of shape {depth.shape}, "
                f"got {chosen.dtype} of shape {chosen.shape}"
            )
        chosen = chosen != 0
    return DepthImage(depth, matrix, chosen, factor)


def _read_mask(path: Path) -> np.ndarray:
    ending = path.suffix.lower()
    if ending == ".npy":
        return read_npy(path)
    if ending != ".png":
        check_file(path)
        check_kind(path, "a mask in a .png or .npy file", trust_name=False)
        raise InputError(f"the mask must be a .png or .npy file, got {path}")
    return _read_png(path)


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    content = io.BytesIO(read_bytes(path))
    check_kind(path, "a PNG picture")
    try:
        with warnings.catch_warnings():
            # Pillow warns of many pixels, and refuses still more.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(content, formats=["PNG"])
        with image:
            width, height = image.size
            check_count(path, width * height, MAXIMUM_POINTS, "pixels")
            channels = len(image.getbands())
            if channels != 1 or image.mode == "P":
                raise InputError(
                    f"{path} must have one channel of whole numbers, got an image of mode "
                    f"{image.mode}: a coloured picture is neither a depth image nor a mask"
                )
            return np.asarray(image)
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is a damaged PNG file: {cause_of(error)}") from error


def _read_camera(path: Path) -> tuple[np.ndarray, str | None]:
    """Read the intrinsic matrix of a camera and the unit of its depths from a JSON file.

    The unit is None if the file does not state it.
    """
    text = read_bytes(path)
    try:
        camera = json.loads(text)
        values = [float(camera[key]) for key in ("fx", "fy", "cx", "cy")]
        unit = camera.get("depth_unit")
    except DAMAGED_JSON as error:
        raise InputError(
            f"{path} must contain a JSON object with the numbers fx, fy, cx and cy"
        ) from error
    if unit is not None and not (isinstance(unit, str) and unit in UNITS):
        raise InputError(f"depth_unit in {path} must be one of {', '.join(UNITS)}, got {unit!r}")
    return intrinsics_matrix(*values), unit


def _checked_depth(depth: np.ndarray, path: Path) -> np.ndarray:
    if depth.ndim != 2 or depth.dtype.kind not in "fiu":
        raise InputError(
            f"the depth in {path} must be numbers of shape (height, width), "
            f"got {depth.dtype} of shape {depth.shape}"
        )
    check_count(path, depth.size, MAXIMUM_POINTS, "pixels")
    # Cameras mark pixels that saw nothing with 0, NaN or infinity.
    depth = np.where(np.isfinite(depth), depth, 0).astype(np.float64)
    if (depth < 0).any():
        raise InputError(f"the depths in {path} must be at least 0, got {depth.min():g}")
    return depth
