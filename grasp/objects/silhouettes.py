"""Masks of depth images that are a few pixels too wide, and the connected regions of a mask.

A mask from a segmentation network often covers a few pixels of the background around the object.
Back-projected, these pixels are a curtain behind the object, which no hand can pass.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

WIDEST = 10
"""Largest width in pixels of the rim of the background that is found inside a mask."""

JUMP = 10.0
"""Smallest jump in depth between two pixels on different surfaces, as a multiple of the distance
between the points that neighbouring pixels show on a surface in front of the camera.

A surface continues over a smaller step, up to an angle of 84 degrees to the image plane."""


def background_in_mask(
    depth: Float[np.ndarray, "height width"],
    mask: Bool[np.ndarray, "height width"],
    focal_length: float,
) -> Bool[np.ndarray, "height width"]:
    """Find pixels inside a mask that show the background.

    A plane is fitted to the background that the image shows nearby, outside the mask. A pixel is
    found if it lies on this plane or behind it, at most `WIDEST` pixels from a pixel of the mask
    far in front of the plane, and if a path of such pixels without a jump in depth leads out of the
    mask. Pixels of the object are not found, even where the object hides parts of itself, because
    they lie in front of the background. Nothing is found in an image that shows no background.

    Args:
        depth: Depth in metres; 0 where nothing was measured.
        mask: True for each pixel of the object.
        focal_length: Focal length in pixels.
    """
    from scipy.ndimage import binary_dilation

    seen = depth > 0
    jump = JUMP * depth / focal_length
    background = _background(depth, seen & ~mask)
    in_front = mask & seen & np.isfinite(background) & (depth < background - jump)
    square = np.ones((2 * WIDEST + 1,) * 2)
    behind = mask & seen & (depth > background - depth / focal_length)
    behind &= binary_dilation(in_front, square)
    reached = seen & ~mask
    for _ in range(WIDEST):
        reached |= behind & _beside(reached, depth, jump)
    return _rims(reached & mask, mask & seen, depth, jump)


def _rims(
    found: np.ndarray, object_: np.ndarray, depth: np.ndarray, jump: np.ndarray
) -> np.ndarray:
    """Drop found regions that are the foot of the object, where it stands on the background.

    A foot continues into the rest of the object. Between a rim of the background and the object,
    most pixels jump in depth.
    """
    from scipy.ndimage import binary_dilation

    region = regions_of(found)
    rest = object_ & ~found
    edge = found & binary_dilation(rest)
    foot = found & _beside(rest, depth, jump)
    count = region.max() + 1
    edges, feet = (np.bincount(region[each], minlength=count) for each in (edge, foot))
    return found & (feet <= edges / 2)[region]


def _background(
    depth: Float[np.ndarray, "height width"], outside: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """Estimate the smallest depth that the background may have at each pixel, in metres.

    A plane is fitted to the background in a square window. On a plane, the inverse depth is a
    linear function of the pixel coordinates. Three standard deviations of the fit are subtracted.
    Where the window shows too little background, the result is infinite.
    """
    from scipy.ndimage import uniform_filter

    side = 4 * WIDEST + 1
    v, u = np.meshgrid(*(np.arange(n) - n / 2 for n in depth.shape), indexing="ij")
    inverse = np.where(outside, 1 / np.where(outside, depth, 1), 0)
    basis = [outside.astype(np.float64), outside * u, outside * v]

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter(values, side, mode="constant")

    one, at_u, at_v = np.ones_like(u), u, v
    normal = np.stack([np.stack([mean(b * x) for x in (one, at_u, at_v)], -1) for b in basis], -1)
    right = np.stack([mean(inverse * x) for x in (one, at_u, at_v)], -1)
    enough = normal[..., 0, 0] * side**2 >= 3 * side
    matrix = np.where(enough[..., None, None], normal, np.eye(3)) + 1e-9 * np.eye(3)
    plane = np.linalg.solve(matrix, right[..., None])[..., 0]
    fitted = plane[..., 0] + plane[..., 1] * u + plane[..., 2] * v
    error = mean(inverse**2) - (plane * right).sum(-1)
    deviation = np.sqrt(np.maximum(error, 0) / np.maximum(normal[..., 0, 0], 1e-9))
    nearest = fitted + 3 * deviation
    return np.where(enough & (nearest > 0), 1 / np.where(nearest > 0, nearest, 1), np.inf)


def _beside(reached: np.ndarray, depth: np.ndarray, jump: np.ndarray) -> np.ndarray:
    """Find pixels at a side of a reached pixel that shows the same surface, without a jump."""
    found = np.zeros_like(reached)
    first, last, every = slice(None, -1), slice(1, None), slice(None)
    for here, there in (
        ((first, every), (last, every)),
        ((last, every), (first, every)),
        ((every, first), (every, last)),
        ((every, last), (every, first)),
    ):
        found[here] |= reached[there] & (np.abs(depth[here] - depth[there]) <= jump[here])
    return found


def regions_of(mask: Bool[np.ndarray, "height width"]) -> Int[np.ndarray, "height width"]:
    """Number the regions of a mask, in which pixels touch at a side or a corner; 0 is outside."""
    from scipy.ndimage import label

    return label(mask, np.ones((3, 3)))[0]
