"""Depth images: the pinhole camera, and the reader of depth images with their camera and mask.

In the camera frame, x points to the right, y down and z forward, in metres. Pixel coordinates are
(u, v) = (column, row); the centre of a pixel has whole-number coordinates. A depth is the z
coordinate of the visible point, not the point's distance from the camera. A depth of 0 means that
the camera measured nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp.objects.cameras import SQUARE_WITHIN, Camera, matrix_of, read_camera
from grasp.objects.images import object_in_mask, read_depth, read_mask
from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npz
from pcdiff.geometry.limits import MAXIMUM_POINTS, UNITS, check_count


@dataclass(frozen=True, eq=False)
class DepthImage:
    """A depth image with its camera.

    Attributes:
        depth: Depth of each pixel in metres; 0 where nothing was measured.
        intrinsics: Intrinsic matrix of the camera in pixels.
        mask: True for each pixel that shows the object; None if all pixels show the object.
        scale: Factor that converted the depths in the file to metres.
        remarks: What the user should know about the camera.
    """

    depth: Float[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    mask: Bool[np.ndarray, "height width"] | None = None
    scale: float = 1.0
    remarks: tuple[str, ...] = ()

    def points(self) -> Float[np.ndarray, "points 3"]:
        """Return the visible points of the object in metres, in the camera frame."""
        return back_project(self.depth, self.intrinsics)[self.seen()]

    def seen(self) -> Bool[np.ndarray, "height width"]:
        """Return True for each pixel that shows a point of the object."""
        return self.depth > 0 if self.mask is None else self.mask & (self.depth > 0)


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
    mask: Path | Shaped[np.ndarray, "height width"] | None = None,
    mask_id: int | None = None,
    masked: bool = True,
) -> DepthImage:
    """Read a depth image in one of two forms.

    - `.npz`: arrays `depth` (height, width) and `intrinsics` or `K` (3, 3), and optionally `mask`
      or `segmap` (height, width).
    - `.png`, `.tif`, `.tiff` or `.npy`: one channel of numbers. The file `NAME.json`, `NAME.yaml`
      or `NAME.yml` beside it describes the camera, unless `intrinsics` names another file. Each
      form that `grasp.objects.cameras` lists is read.

    The unit of the depths is the first of these that is known: `unit`, the unit in the file of the
    camera, and metres for floating-point numbers or a `.npz` file. The unit of whole numbers is
    unknown otherwise, because they are usually, but not always, millimetres.

    Args:
        path: File to read.
        scale: Factor that multiplies the depths, in addition to the conversion from their unit.
        unit: Unit of the depths: m, cm, mm or inch; None if not stated.
        intrinsics: Camera to use instead of the camera in the .npz file or beside the picture: a
            file that `grasp.objects.cameras` reads, or an intrinsic matrix.
        mask: Mask to use instead of the mask in the .npz file: an array, or a .png, .tif, .tiff or
            .npy file. The mask has a value other than 0 in each pixel that shows the object.
        mask_id: Value of the object's pixels in the mask; None if the mask has only one value
            besides 0.
        masked: False to ignore all masks.

    Raises:
        InputError: If a file is missing, damaged or too large, an array has the wrong shape, the
            camera or the unit is unknown, the camera contradicts the picture, a depth is negative
            or has only 8 bits, or the mask has several values and `mask_id` is None.
    """
    stored: dict[str, np.ndarray] = {}
    if path.suffix.lower() == ".npz":
        stored = read_npz(path, ("depth", "intrinsics", "K", "mask", "segmap"))
        if "depth" not in stored:
            raise InputError(f"{path} has no array named depth")
        depth = stored["depth"]
    else:
        depth = read_depth(path)
    camera = _camera_of(path, stored, intrinsics)
    check_intrinsics(camera.intrinsics, str(path))
    metres = camera.unit if unit is None else UNITS[unit]
    if metres is None and (stored or depth.dtype.kind == "f"):
        metres = 1.0
    if metres is None:
        raise InputError(
            f"the unit of the depths in {path} is unknown: supply the unit, or write "
            '"depth_unit": "mm" (or m, cm, inch) into the JSON file of the camera',
            parameter="unit",
        )
    depth = _checked_depth(depth, path) * (scale * metres)
    remarks = check_fit(camera, depth.shape, path)

    chosen: np.ndarray | None = None
    if masked:
        chosen = stored.get("mask", stored.get("segmap")) if mask is None else None
        chosen = read_mask(mask) if isinstance(mask, Path) else chosen if mask is None else mask
    if chosen is not None:
        if chosen.shape != depth.shape or chosen.dtype.kind not in "bui":
            raise InputError(
                f"the mask of {path} must be whole numbers or truth values of shape {depth.shape}, "
                f"got {chosen.dtype} of shape {chosen.shape}"
            )
        chosen = object_in_mask(chosen, mask_id, f"the mask of {path}")
    elif mask_id is not None:
        raise InputError(f"{path} has no mask, but a value in the mask is stated: {mask_id}")
    matrix = camera.intrinsics.astype(np.float64)
    return DepthImage(depth, matrix, chosen, scale * metres, remarks)


def check_fit(camera: Camera, shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    """Check that a camera fits a picture.

    Args:
        camera: The camera, with a valid intrinsic matrix.
        shape: Height and width of the picture in pixels.
        path: File of the picture.

    Returns:
        A remark for the user if the pixels of the camera are far from square.

    Raises:
        InputError: If the file of the camera states another width or height, or the principal point
            is outside the picture.
    """
    height, width = shape
    for name, stated, is_there in (
        ("width", camera.width, width),
        ("height", camera.height, height),
    ):
        if stated is not None and stated != is_there:
            raise InputError(
                f"the camera of {path} must have the {name} of the picture, {is_there} pixels, got "
                f"{stated:g} pixels: supply the intrinsics of this resolution",
                parameter="intrinsics",
            )
    fx, fy, cx, cy = camera.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]
    if not (-0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5):
        raise InputError(
            f"the principal point of the camera of {path} must be inside the picture of {width} x "
            f"{height} pixels, got ({cx:g}, {cy:g})",
            parameter="intrinsics",
        )
    if abs(fx - fy) > SQUARE_WITHIN * max(fx, fy):
        return (f"the focal lengths differ by more than {SQUARE_WITHIN:.0%}: {fx:g} and {fy:g}",)
    return ()


def camera_beside(path: Path) -> Path | None:
    """Return the camera file beside a depth image, or None if there is none.

    Args:
        path: File of the depth image.
    """
    beside = (path.with_suffix(ending) for ending in (".json", ".yaml", ".yml"))
    return next((each for each in beside if each.is_file()), None)


def _camera_of(
    path: Path, stored: dict[str, np.ndarray], given: Path | np.ndarray | None
) -> Camera:
    """Return the camera of a depth image from the caller, from its own file or from beside it."""
    if isinstance(given, Path):
        return read_camera(given)
    if given is None and path.suffix.lower() == ".npz":
        given = stored.get("intrinsics", stored.get("K"))
        if given is None:
            raise InputError(
                f"{path} has no array named intrinsics: supply the camera's intrinsics"
            )
    if given is not None:
        return Camera(matrix_of(np.asarray(given)))
    beside = camera_beside(path)
    if beside is None:
        raise InputError(
            f"{path} is a depth image without a camera: supply the intrinsics of the camera, or "
            f"write the intrinsics to {path.with_suffix('.json')}",
            parameter="intrinsics",
        )
    return read_camera(beside)


def _checked_depth(depth: np.ndarray, path: Path) -> np.ndarray:
    if depth.ndim != 2 or depth.dtype.kind not in "fiu":
        raise InputError(
            f"the depth in {path} must be numbers of shape (height, width), "
            f"got {depth.dtype} of shape {depth.shape}"
        )
    check_count(path, depth.size, MAXIMUM_POINTS, "pixels")
    if depth.dtype.itemsize == 1:
        raise InputError(
            f"the depth in {path} must have at least 16 bits per pixel, got 8 bits, as in a "
            "picture to look at"
        )
    # Cameras mark pixels that saw nothing with 0, NaN or infinity.
    depth = np.where(np.isfinite(depth), depth, 0).astype(np.float64)
    if (depth < 0).any():
        raise InputError(f"the depths in {path} must be at least 0, got {depth.min():g}")
    return depth
