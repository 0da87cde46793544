"""Depth images of an object before a background, and the damage that real cameras do to them.

In half of the pictures the object touches a table, and in the other half a wall is behind it. So a
mask that is too wide covers true depths of the background.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np
from jaxtyping import Bool, Float

from grasp.objects.depth import back_project, pixel_rays
from grasp.objects.object import Object
from grasp.objects.views import KINECT_INTRINSICS, poses_on_sphere, render_view

DISTANCES = 0.5, 1.0  # smallest and largest distance of the camera in metres, as in the frozen set
TABLE_TILTS = 15.0, 65.0  # angles between the line of sight and the table's normal in degrees
WALL_TILTS = 0.0, 30.0
WALL_GAPS = 0.05, 0.5  # distance in metres of a wall behind the object
BORDER = 60  # pixels around the object, from which the background can be measured

FLYING = 0.001  # share of the pixels in the mask
NO_RETURN = 0.05  # share of the pixels in the mask
NOISE = 0.003  # metres
FLOATERS = 5
FLOATER_SIZES, FLOATER_GAPS = (0.002, 0.005), (0.01, 0.05)  # metres


@dataclass(frozen=True, eq=False)
class Picture:
    """A depth image, with what a person would know about its pixels.

    Attributes:
        depth: Depth of each pixel in metres; 0 where nothing was measured.
        mask: Mask that a user would supply.
        true: True for each pixel that shows the object at its true depth.
        intrinsics: Intrinsic matrix of the camera in pixels.
        T_camera_object: Pose of the object's frame in the camera's frame.
        extra: Points in metres, in the camera frame, that only a cloud contains.
    """

    depth: Float[np.ndarray, "height width"]
    mask: Bool[np.ndarray, "height width"]
    true: Bool[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    T_camera_object: Float[np.ndarray, "4 4"]
    extra: Float[np.ndarray, "extra 3"]

    def points(self) -> Float[np.ndarray, "points 3"]:
        """Return the cloud inside the mask in the camera frame; a pixel of depth 0 gives zeros."""
        seen = back_project(self.depth, self.intrinsics)[self.mask]
        return np.concatenate([seen, self.extra])


def picture(obj: Object, number: int, seed: int) -> Picture:
    """Render one picture of an object from a random direction.

    Args:
        obj: Mesh in metres.
        number: Number of the picture; even ones show a table and odd ones a wall.
        seed: Seed of the pictures.
    """
    rng = generator(seed, obj.name, number)
    distance = float(rng.uniform(*DISTANCES))
    (pose,) = poses_on_sphere(1, obj.centre, distance, rng)
    intrinsics, height, width = _crop(obj, pose)
    view = render_view(obj, pose, intrinsics=intrinsics, height=height, width=width)
    seen = obj.vertices @ pose[:3, :3].T + pose[:3, 3]
    # The normal of the background points towards the camera, which looks along z.
    wall = number % 2 == 1
    tilt = radians(rng.uniform(*(WALL_TILTS if wall else TABLE_TILTS)))
    turn = rng.uniform(0, 2 * np.pi)
    normal = np.array([sin(tilt) * cos(turn), sin(tilt) * sin(turn), -cos(tilt)])
    offset = float((seen @ normal).min()) - (rng.uniform(*WALL_GAPS) if wall else 0.0)
    slope = pixel_rays(intrinsics, height, width) @ normal
    behind = np.where(slope < 0, offset / np.where(slope < 0, slope, -1), 0)
    depth = np.where(view.mask, view.depth, np.maximum(behind, 0)).astype(np.float32)
    return Picture(
        depth.astype(np.float64), view.mask, view.mask, intrinsics, pose, np.zeros((0, 3))
    )


def generator(seed: int, name: str, number: int, purpose: str = "") -> np.random.Generator:
    """Return the random generator for one purpose in one picture of one object."""
    return np.random.default_rng([seed, number, zlib.crc32(f"{name} {purpose}".encode())])


def _crop(obj: Object, pose: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the intrinsics, the height and the width of a picture around the object."""
    seen = obj.vertices @ pose[:3, :3].T + pose[:3, 3]
    pixels = (seen @ KINECT_INTRINSICS.T)[:, :2] / seen[:, 2:]
    low = np.floor(pixels.min(axis=0)).astype(int) - BORDER
    width, height = (np.ceil(pixels.max(axis=0)).astype(int) + BORDER - low + 1).tolist()
    intrinsics = KINECT_INTRINSICS.copy()
    intrinsics[:2, 2] -= low
    return intrinsics, height, width


Damage = Callable[[Picture, np.random.Generator], Picture]
"""A function that damages a picture."""


def bleeding(pixels: int) -> Damage:
    """Return the damage of a mask that is this number of pixels too wide on every side."""

    def damage(clean: Picture, _: np.random.Generator) -> Picture:
        from scipy.ndimage import binary_dilation

        return replace(clean, mask=binary_dilation(clean.mask, np.ones((3, 3)), pixels))

    return damage


def flying(clean: Picture, rng: np.random.Generator) -> Picture:
    """Put pixels between the object and the background, half of them at the edge of the mask."""
    from scipy.ndimage import binary_erosion

    count = max(2, round(FLYING * np.count_nonzero(clean.mask)))
    inner = binary_erosion(clean.mask, np.ones((3, 3)))
    edge = np.argwhere(clean.mask & ~inner)
    anywhere = np.argwhere(clean.mask)
    chosen = np.concatenate(
        [
            edge[rng.choice(len(edge), count - count // 2, replace=False)],
            anywhere[rng.choice(len(anywhere), count // 2, replace=False)],
        ]
    )
    depth, true = clean.depth.copy(), clean.true.copy()
    far = _background(clean)
    for v, u in chosen:
        depth[v, u] += rng.uniform(0.1, 0.9) * max(far[v, u] - depth[v, u], 0)
        true[v, u] = False
    return replace(clean, depth=depth, true=true)


def _background(clean: Picture) -> Float[np.ndarray, "height width"]:
    """Return the depth of the background at every pixel, from the plane that the others show."""
    v, u = np.indices(clean.depth.shape)
    outside = ~clean.mask & (clean.depth > 0)
    # On a plane, the inverse depth is a linear function of the pixel coordinates.
    terms = np.stack([np.ones(u.shape), u, v], axis=-1)
    plane = np.linalg.lstsq(terms[outside], 1 / clean.depth[outside], rcond=None)[0]
    return 1 / np.maximum(terms @ plane, 0.1)


def no_return(clean: Picture, rng: np.random.Generator) -> Picture:
    """Set the depth of some pixels of the object to 0."""
    lost = clean.mask & (rng.uniform(size=clean.mask.shape) < NO_RETURN)
    return replace(clean, depth=np.where(lost, 0, clean.depth), true=clean.true & ~lost)


def floating_pixels(clean: Picture, rng: np.random.Generator) -> Picture:
    """Put small patches of the object's pixels before the object."""
    depth, true = clean.depth.copy(), clean.true.copy()
    rows, columns = np.indices(depth.shape)
    places = np.argwhere(clean.mask)
    for v, u in places[rng.choice(len(places), FLOATERS)]:
        size = rng.uniform(*FLOATER_SIZES) * clean.intrinsics[0, 0] / clean.depth[v, u]
        patch = np.hypot(rows - v, columns - u) <= max(size / 2, 0.5)
        patch &= clean.mask
        near = clean.depth[patch].min() - rng.uniform(*FLOATER_GAPS)
        depth[patch], true[patch] = near, False
    return replace(clean, depth=depth, true=true)


def floating_points(clean: Picture, rng: np.random.Generator) -> Picture:
    """Add small clusters of points around the object, as dense as its own points."""
    from scipy.spatial import cKDTree

    points = clean.points()
    tree = cKDTree(points)
    clusters: list[np.ndarray] = []
    while len(clusters) < FLOATERS:
        direction = rng.normal(size=3)
        gap, size = rng.uniform(*FLOATER_GAPS), rng.uniform(*FLOATER_SIZES)
        centre = points[rng.integers(len(points))] + gap * direction / np.linalg.norm(direction)
        if tree.query(centre)[0] < FLOATER_GAPS[0]:
            continue
        spacing = centre[2] / clean.intrinsics[0, 0]
        count = max(3, round(np.pi / 4 * (size / spacing) ** 2))
        ball = rng.normal(size=(count, 3))
        ball *= (
            size
            / 2
            * rng.uniform(size=(count, 1)) ** (1 / 3)
            / np.linalg.norm(ball, axis=1, keepdims=True)
        )
        clusters.append(centre + ball)
    return replace(clean, extra=np.concatenate(clusters))


def noisy(clean: Picture, rng: np.random.Generator) -> Picture:
    """Move every point along its line of sight by Gaussian noise."""
    rays = np.linalg.norm(pixel_rays(clean.intrinsics, *clean.depth.shape), axis=-1)
    moved = clean.depth + rng.normal(0, NOISE, clean.depth.shape) / rays
    return replace(clean, depth=np.where(clean.depth > 0, np.maximum(moved, 0), 0))


def unharmed(clean: Picture, _: np.random.Generator) -> Picture:
    """Return the picture as it is."""
    return clean


@dataclass(frozen=True)
class Condition:
    """A kind of damage, and the form in which a user has the picture.

    Attributes:
        damage: Function that damages a picture.
        cloud: True if the user has a cloud, cut out by the mask; False for a depth image and a
            mask.
    """

    damage: Damage
    cloud: bool = False

    @property
    def stream(self) -> str:
        """Name of the random numbers; both forms of a picture have the same damage."""
        return self.damage.__name__


CLEAN = "clean"
CONDITIONS = {
    CLEAN: Condition(unharmed),
    "clean cloud": Condition(unharmed, cloud=True),
    "mask 1 px too wide": Condition(bleeding(1)),
    "mask 2 px too wide": Condition(bleeding(2)),
    "flying pixels": Condition(flying),
    "zero returns": Condition(no_return),
    "zero returns in a cloud": Condition(no_return, cloud=True),
    "floaters": Condition(floating_pixels),
    "floaters in a cloud": Condition(floating_points, cloud=True),
    "noise of 3 mm": Condition(noisy),
}
"""The conditions of the study, the clean one first."""
