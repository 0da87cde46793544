"""Depth images: the pinhole camera, and the two forms in which they lie on disk.

Camera frame: x to the right, y down, z forward, metres. A pixel's coordinates are (column, row) =
(u, v), whole numbers at its middle, and a depth is the z of what is seen there, not its distance.
A depth of 0 means that nothing was seen.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from pcdiff.errors import InputError
from pcdiff.geometry.limits import (
    MAXIMUM_BYTES,
    MAXIMUM_POINTS,
    UNITS,
    check_count,
    read_bytes,
    read_npy,
)


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A depth image with its camera.

    Args:
        depth: Of each pixel, metres; 0 where nothing was seen.
        intrinsics: The camera's matrix, pixels.
        mask: The pixels of the object; None if all are its.
        scale: What the file's numbers were multiplied by to become metres.
    """

    depth: Float[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    mask: Bool[np.ndarray, "height width"] | None = None
    scale: float = 1.0

    def points(self) -> Float[np.ndarray, "points 3"]:
        """What was seen of the object, in the camera frame, metres."""
        seen = self.depth > 0 if self.mask is None else self.mask & (self.depth > 0)
        return back_project(self.depth, self.intrinsics)[seen]


def intrinsics_matrix(fx: float, fy: float, cx: float, cy: float) -> Float[np.ndarray, "3 3"]:
    """The matrix of a pinhole camera without skew: focal lengths and principal point in pixels."""
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def pixel_rays(
    intrinsics: Float[np.ndarray, "3 3"], height: int, width: int
) -> Float[np.ndarray, "height width 3"]:
    """For each pixel the point at depth 1 that is seen there: K⁻¹ (u, v, 1)."""
    u, v = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    return np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(intrinsics).T


def back_project(
    depth: Float[np.ndarray, "height width"], intrinsics: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "height width 3"]:
    """For each pixel the point that was seen there, in the camera frame: z K⁻¹ (u, v, 1).

    Args:
        depth: Along the camera's z, in any unit.
        intrinsics: The camera's matrix, pixels.

    Returns:
        Points in the unit of the depth; the origin where the depth is 0.
    """
    return depth[..., None] * pixel_rays(intrinsics, *depth.shape)


def project(
    points: Float[np.ndarray, "*shape 3"], intrinsics: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "*shape 2"], Float[np.ndarray, "*shape"]]:
    """Pixel coordinates (u, v) and depths of points in the camera frame: (u, v, 1) = K p / z.

    Args:
        points: In front of the camera.
        intrinsics: The camera's matrix, pixels.
    """
    homogeneous = points @ intrinsics.T
    return homogeneous[..., :2] / homogeneous[..., 2:], points[..., 2]


def check_intrinsics(matrix: np.ndarray, what: str = "a camera") -> None:
    """Refuse a matrix that is not finite [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with fx, fy > 0.

    Args:
        matrix: Anything.
        what: Whose matrix it is, for the sentence.
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
            f"the intrinsics of {what} must be finite, [[fx, s, cx], [0, fy, cy], [0, 0, 1]] with "
            f"focal lengths above 0, got {matrix.tolist()}"
        )


def read_depth_image(
    path: Path,
    *,
    scale: float = 1.0,
    unit: str | None = None,
    intrinsics: Path | Float[np.ndarray, "3 3"] | None = None,
    mask: Path | Bool[np.ndarray, "height width"] | None = None,
) -> DepthImage:
    """Read a depth image.

    - `.npz`: arrays `depth` (height, width) and `intrinsics` (3, 3), and `mask` (height, width) if
      it has one. Metres unless `unit` is given.
    - `.png`: whole numbers in one channel. The camera is in a JSON object beside it, `NAME.json`
      unless `intrinsics` names another: `{"fx": …, "fy": …, "cx": …, "cy": …, "depth_unit": "mm"}`
      in pixels. The unit of the numbers must be stated there or by `unit`, which goes first: 16-bit
      images are usually in millimetres, but not all.

    Args:
        path: The file.
        scale: Multiplies the depths, beside the unit.
        unit: Of the depths: m, cm, mm or inch.
        intrinsics: Instead of the file's own: a JSON file, or the matrix.
        mask: Instead of the file's own: a PNG or npy file that is not 0 at the object, or the mask.

    Raises:
        InputError: A file is missing, damaged, too large or of another shape, the camera or the
            unit is not known, or a depth is negative.
    """
    stored: dict[str, np.ndarray] = {}
    stated = unit
    if path.suffix.lower() == ".npz":
        stored = read_npz(path, ("depth", "intrinsics", "mask"))
        if "depth" not in stored:
            raise InputError(f"{path} has no array depth")
        depth = stored["depth"]
        stated = unit or "m"
    else:
        depth = _read_png(path)
        if intrinsics is None:
            intrinsics = path.with_suffix(".json")
            if not intrinsics.is_file():
                raise InputError(
                    f"{path} is a depth image without a camera: give its intrinsics, "
                    f"or put them into {intrinsics}"
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
        raise InputError(f"{path} has no array intrinsics: give the camera's intrinsics")
    if stated is None:
        raise InputError(
            f"the unit of the depths in {path} is not known: "
            'give the unit, or write "depth_unit": "mm" (or m, cm, inch) beside the intrinsics'
        )
    check_intrinsics(matrix, str(path))
    matrix = matrix.astype(np.float64)
    factor = scale * UNITS[stated]
    depth = _checked_depth(depth, path) * factor

    chosen = stored.get("mask")
    if isinstance(mask, Path):
        chosen = _read_png(mask) if mask.suffix.lower() == ".png" else read_npy(mask)
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


def read_npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those arrays of an npz file that have one of the names.

    Raises:
        InputError: The file is missing, damaged or too large, or needs unpickling.
    """
    archive_bytes = io.BytesIO(read_bytes(path))
    arrays: dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(archive_bytes) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name not in names:
                    continue
                what = f"bytes in the array {name}"
                check_count(path, entry.file_size, MAXIMUM_BYTES, what)
                # The header of an array reserves its memory, so it is looked at first.
                with archive.open(entry) as file:
                    if np.lib.format.read_magic(file) == (1, 0):
                        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                    else:
                        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
                check_count(path, math.prod(shape) * dtype.itemsize, MAXIMUM_BYTES, what)
                with archive.open(entry) as file:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        zlib.error,
        RuntimeError,
        EOFError,
        ValueError,
        SyntaxError,
    ) as error:
        raise InputError(f"{path} is a damaged npz file") from error
    return arrays


def _read_png(path: Path) -> np.ndarray:
    from PIL import Image

    content = io.BytesIO(read_bytes(path))
    try:
        with Image.open(content, formats=["PNG"]) as image:
            width, height = image.size
            check_count(path, width * height, MAXIMUM_POINTS, "pixels")
            channels = len(image.getbands())
            if channels != 1 or image.mode == "P":
                raise InputError(
                    f"{path} must have one channel of whole numbers, got the mode {image.mode}: "
                    "a coloured picture of a depth image or mask cannot be used"
                )
            return np.asarray(image)
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is a damaged PNG file") from error


def _read_camera(path: Path) -> tuple[np.ndarray, str | None]:
    """The matrix, and the unit of the depths if it is stated."""
    text = read_bytes(path)
    try:
        camera = json.loads(text)
        values = [float(camera[key]) for key in ("fx", "fy", "cx", "cy")]
        unit = camera.get("depth_unit")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} must be a JSON object with the numbers fx, fy, cx and cy"
        ) from error
    if unit is not None and unit not in UNITS:
        raise InputError(f"the depth_unit in {path} must be {', '.join(UNITS)}, got {unit!r}")
    return intrinsics_matrix(*values), unit


def _checked_depth(depth: np.ndarray, path: Path) -> np.ndarray:
    if depth.ndim != 2 or depth.dtype.kind not in "fiu":
        raise InputError(
            f"the depth in {path} must be numbers of shape (height, width), "
            f"got {depth.dtype} of shape {depth.shape}"
        )
    check_count(path, depth.size, MAXIMUM_POINTS, "pixels")
    # Cameras mark pixels that saw nothing by 0, by NaN or by infinity.
    depth = np.where(np.isfinite(depth), depth, 0).astype(np.float64)
    if (depth < 0).any():
        raise InputError(f"{path} has a negative depth, {depth.min():g}")
    return depth
