"""Single views of an object: what a depth camera sees of it from one side.

For training and for evaluation on partial clouds. Only the side that faces the camera is there; the
object hides parts of itself; the measurement may be noisy. Camera frame, pixels and depths are
those of `grasp.objects.depth`, whose `back_project` and `project` may be imported from here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, pi, radians
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.objects.depth import (
    DepthImage,
    back_project,
    check_intrinsics,
    intrinsics_matrix,
    pixel_rays,
    project,
    read_depth_image,
    read_npz,
)
from grasp.objects.object import Object
from grasp.objects.rays import Target
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

__all__ = [
    "KINECT",
    "KINECT_INTRINSICS",
    "DepthNoise",
    "View",
    "back_project",
    "look_at",
    "poses_on_sphere",
    "project",
    "random_views",
    "read_view",
    "render_view",
    "write_view",
]

KINECT_INTRINSICS = intrinsics_matrix(585.0, 585.0, 319.5, 239.5)
"""Of 640 × 480 pixels: the depth camera of Nguyen et al. 2012."""
KINECT_INTRINSICS.flags.writeable = False


@dataclass(frozen=True)
class DepthNoise:
    """What a structured-light camera adds to a depth z (metres) seen at an angle θ.

    θ is the angle between the surface's normal and the line of sight. The parameters but the last
    two are those of Nguyen, Izadi and Lovell, "Modeling Kinect sensor noise for improved 3D
    reconstruction and tracking" (2012); the last two those of Khoshelham and Oude Elberink,
    "Accuracy and resolution of Kinect depth data" (2012). In this order:

    1. Lateral: a pixel shows what is a random number of pixels away, in each direction normal with
       the standard deviation σ_L = lateral + lateral_slope θ/(π/2 − θ).
    2. Dropout: nothing is measured where θ is above `grazing_angle`.
    3. Axial: z is normal with σ_z = axial + axial_growth (z − axial_best)² and, where θ is above
       `oblique_angle`, + axial_slope θ²/((π/2 − θ)² √z).
    4. Quantisation: the disparity focal_baseline/z is measured in steps of `disparity_step`, so
       that depths differ by about z² disparity_step/focal_baseline.

    Args:
        lateral: Pixels.
        lateral_slope: Pixels.
        axial: Metres.
        axial_growth: 1/metres.
        axial_best: Metres: where the axial noise is smallest.
        axial_slope: Metres^(3/2).
        oblique_angle: Radians.
        grazing_angle: Radians: the largest angle that was measured.
        disparity_step: Pixels; 0 for no quantisation.
        focal_baseline: Focal length times baseline, pixels × metres.
    """

    lateral: float = 0.8
    lateral_slope: float = 0.035
    axial: float = 0.0012
    axial_growth: float = 0.0019
    axial_best: float = 0.4
    axial_slope: float = 0.0001
    oblique_angle: float = radians(60)
    grazing_angle: float = radians(80)
    disparity_step: float = 0.125
    focal_baseline: float = 585.0 * 0.075

    def lateral_deviation(self, angle: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """σ_L in pixels, at an angle below π/2."""
        return self.lateral + self.lateral_slope * angle / (pi / 2 - angle)

    def axial_deviation(
        self, depth: Float[np.ndarray, "*shape"], angle: Float[np.ndarray, "*shape"]
    ) -> Float[np.ndarray, "*shape"]:
        """σ_z in metres, at a depth above 0 and an angle below π/2."""
        oblique = self.axial_slope * (angle / (pi / 2 - angle)) ** 2 / np.sqrt(depth)
        frontal = self.axial + self.axial_growth * (depth - self.axial_best) ** 2
        return frontal + np.where(angle > self.oblique_angle, oblique, 0)

    def quantised(self, depth: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Depths above 0 as the nearest whole number of disparity steps; 0 beyond the last."""
        if self.disparity_step == 0:
            return depth
        steps = np.round(self.focal_baseline / depth / self.disparity_step)
        far = steps < 1
        return np.where(
            far, 0, self.focal_baseline / (self.disparity_step * np.where(far, 1, steps))
        )


_DISTANCES = 0.5, 1.0  # of the cameras of random views, metres

KINECT = DepthNoise()
"""The noise of the first Kinect."""


@dataclass(frozen=True, eq=False)
class View:
    """One depth image of an object, and where the camera stood.

    Args:
        depth: Of each pixel, metres along the camera's z; 0 where nothing was measured.
        mask: The pixels where the object is; of some the depth may not have been measured.
        intrinsics: The camera's matrix, pixels.
        T_camera_object: The object's frame in the camera's.
    """

    depth: Float[np.ndarray, "height width"]
    mask: Bool[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    T_camera_object: Float[np.ndarray, "4 4"]

    def points(self) -> Float[np.ndarray, "points 3"]:
        """What was measured of the object, row by row, in the camera frame, metres."""
        return DepthImage(self.depth, self.intrinsics, self.mask).points()

    def in_camera(self, name: str = "view") -> Object:
        """The measured cloud in the camera frame, with estimated normals that face the camera.

        It equals `load_object` of the file that `write_view` makes.

        Raises:
            InputError: Too few points were measured.
        """
        return Object.from_points(self.points(), viewpoint=np.zeros(3), name=name)

    def in_object(self, name: str = "view") -> Object:
        """The same cloud and normals in the object's frame.

        Raises:
            InputError: Too few points were measured.
        """
        cloud = self.in_camera(name)
        assert cloud.normals is not None
        rotation, translation = self.T_camera_object[:3, :3], self.T_camera_object[:3, 3]
        points = (cloud.vertices - translation) @ rotation
        return Object.from_points(points, cloud.normals @ rotation, name=name)


def look_at(
    position: Float[np.ndarray, "3"],
    target: Float[np.ndarray, "3"],
    up: Sequence[float] = (0.0, 0.0, 1.0),
) -> Float[np.ndarray, "4 4"]:
    """`T_camera_object` of a camera that stands upright and looks at a point.

    Args:
        position: Of the camera, in the object's frame.
        target: In the middle of the picture, in the object's frame.
        up: What is up in the picture. Where the camera looks along it, the object's x is.

    Raises:
        InputError: The camera stands in its target, or a number is not finite or `up` is zero.
    """
    forward = target - position
    distance = np.linalg.norm(forward)
    if not distance < inf:  # NaN too
        raise InputError(
            f"a camera and its target must be at finite places, got {position} and {target}"
        )
    if not distance > 0:
        raise InputError(f"a camera must look at another point than its own, got {position}")
    forward = forward / distance
    upward = np.array(up, np.float64)
    length = np.linalg.norm(upward)
    if not 0 < length < inf:
        raise InputError(f"what is up must be a finite direction other than 0, got {list(up)}")
    if np.linalg.norm(np.cross(forward, upward)) < 1e-6 * length:
        upward = np.array([1.0, 0.0, 0.0])
    right = np.cross(forward, upward)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = -rotation @ position
    return pose


def poses_on_sphere(
    count: int,
    centre: Float[np.ndarray, "3"],
    distance: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "count 4 4"]:
    """`T_camera_object` of cameras in uniformly random directions that look at a point.

    Args:
        count: How many.
        centre: At what they look, in the object's frame.
        distance: From there to the cameras, metres.
        rng: The source of randomness.
    """
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    poses = [look_at(centre + distance * direction, centre) for direction in directions]
    return np.array(poses).reshape(count, 4, 4)


def render_view(
    obj: Object,
    T_camera_object: Float[np.ndarray, "4 4"],
    *,
    intrinsics: Float[np.ndarray, "3 3"] = KINECT_INTRINSICS,
    height: int = 480,
    width: int = 640,
    noise: DepthNoise | None = None,
    rng: np.random.Generator | None = None,
) -> View:
    """The depth image of a mesh by ray casting, one ray a pixel.

    Args:
        obj: A mesh.
        T_camera_object: The object's frame in the camera's, e.g. from `look_at`.
        intrinsics: The camera's matrix, pixels.
        height: Pixels.
        width: Pixels.
        noise: What the camera adds; None for exact depths.
        rng: The source of the noise.

    Raises:
        InputError: The object is a point cloud, the intrinsics are not those of a camera, the pose
            is no rigid transform, or there is noise but no `rng`.
    """
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, expected a mesh to look at")
    check_intrinsics(intrinsics)
    check_poses("camera", T_camera_object[None])
    vertices = obj.vertices @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
    rays = pixel_rays(intrinsics, height, width)
    depth, angle = _cast(vertices, obj.faces, rays.reshape(-1, 3))
    depth, angle = depth.reshape(height, width), angle.reshape(height, width)
    mask = depth > 0
    if noise is not None:
        if rng is None:
            raise InputError("a view with noise needs a random generator, got none")
        depth = np.where(mask, _measured(depth, angle, noise, rng), 0)
    return View(depth, mask, intrinsics.copy(), T_camera_object.copy())


def _cast(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    rays: Float[np.ndarray, "rays 3"],
) -> tuple[Float[np.ndarray, " rays"], Float[np.ndarray, " rays"]]:
    """Depth of the first surface on each ray (x, y, 1) from the origin, 0 if none, and its angle θ.

    A ray's length in its own units is the depth.
    """
    hits = Target(vertices, faces).first(np.zeros(rays.shape), rays)
    cosine = np.abs(hits.slope) / np.linalg.norm(rays[hits.ray], axis=1)
    depth, angle = np.zeros(len(rays)), np.zeros(len(rays))
    depth[hits.ray] = hits.distance
    angle[hits.ray] = np.arccos(np.minimum(cosine, 1))
    return depth, angle


def _measured(
    depth: Float[np.ndarray, "height width"],
    angle: Float[np.ndarray, "height width"],
    noise: DepthNoise,
    rng: np.random.Generator,
) -> Float[np.ndarray, "height width"]:
    """Depths with noise; 0 where nothing is measured."""
    height, width = depth.shape
    # Beyond the grazing angle nothing is measured, and the formulas end at π/2.
    bounded = np.minimum(angle, noise.grazing_angle)
    shift = rng.normal(size=(2, height, width)) * noise.lateral_deviation(bounded)
    row = np.clip(np.round(np.arange(height)[:, None] + shift[0]), 0, height - 1).astype(np.int64)
    column = np.clip(np.round(np.arange(width) + shift[1]), 0, width - 1).astype(np.int64)
    depth, angle, bounded = depth[row, column], angle[row, column], bounded[row, column]
    error = rng.normal(size=depth.shape)
    seen = (depth > 0) & (angle <= noise.grazing_angle)
    depth = np.where(seen, depth, 1)
    depth = depth + error * noise.axial_deviation(depth, bounded)
    seen &= depth > 0
    return np.where(seen, noise.quantised(np.where(seen, depth, 1)), 0)


def write_view(path: str | os.PathLike[str], view: View) -> None:
    """Write a view as the npz file that `load_object` and `read_view` read, whole or not at all.

    Args:
        path: The file to write.
        view: The view.

    Raises:
        InputError: The path does not end in .npz, or cannot be written.
    """
    if Path(path).suffix.lower() != ".npz":
        raise InputError(f"a view is written to a file that ends in .npz, got {path}")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            depth=view.depth,
            mask=view.mask,
            intrinsics=view.intrinsics,
            T_camera_object=view.T_camera_object,
        )


def read_view(path: str | os.PathLike[str]) -> View:
    """Read what `write_view` wrote.

    Args:
        path: The file.

    Raises:
        InputError: The file is missing or damaged, or has no mask or no pose.
    """
    path = Path(path)
    image = read_depth_image(path)
    pose = read_npz(path, ("T_camera_object",)).get("T_camera_object")
    if image.mask is None or pose is None:
        raise InputError(
            f"{path} has no array {'mask' if image.mask is None else 'T_camera_object'}"
        )
    if pose.shape != (4, 4) or pose.dtype.kind != "f" or not np.isfinite(pose).all():
        raise InputError(f"T_camera_object in {path} must be finite numbers of shape (4, 4)")
    return View(image.depth, image.mask, image.intrinsics, pose)


def random_views(obj: Object, count: int, rng: np.random.Generator) -> list[Object]:
    """Clouds of an object as a depth camera sees it from one side, in the object's frame.

    From uniform directions, at 50 cm to 1 m, with the noise of `KINECT`.

    Args:
        obj: A mesh.
        count: How many.
        rng: Draws directions, distances and noise.
    """
    views = []
    for _ in range(count):
        (camera,) = poses_on_sphere(1, obj.centre, rng.uniform(*_DISTANCES), rng)
        views.append(render_view(obj, camera, noise=KINECT, rng=rng).in_object())
    return views
