"""Views of an object: depth images that a camera takes from one side.

Views serve training and evaluation on partial clouds: only the side that faces the camera is
visible, the object hides parts of itself, and the measurement may be noisy. The camera frame, pixel
coordinates and depths are defined as in `grasp.objects.depth`.
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
    check_intrinsics,
    intrinsics_matrix,
    pixel_rays,
    read_depth_image,
)
from grasp.objects.object import Object
from grasp.objects.rays import Target
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.arrays import read_npz

KINECT_INTRINSICS = intrinsics_matrix(585.0, 585.0, 319.5, 239.5)
KINECT_INTRINSICS.flags.writeable = False
"""Intrinsic matrix, in pixels, of the depth camera in Nguyen et al. 2012 with 640 × 480 pixels."""


@dataclass(frozen=True)
class DepthNoise:
    """Noise of a structured-light camera that sees a surface at depth z (metres) and angle θ.

    θ is the angle between the surface normal and the line of sight. The last two parameters are
    from Khoshelham and Oude Elberink, "Accuracy and resolution of Kinect depth data" (2012), and
    the other parameters from Nguyen, Izadi and Lovell, "Modeling Kinect sensor noise for improved
    3D reconstruction and tracking" (2012). The steps of the noise are, in this order:

    1. Lateral noise: each pixel shows a point that is offset by a random number of pixels along
       each axis of the image. The number is Gaussian with standard deviation
       σ_L = lateral + lateral_slope θ/(π/2 − θ).
    2. Dropout: nothing is measured where θ is above `grazing_angle`.
    3. Axial noise: the error of z is Gaussian with standard deviation
       σ_z = axial + axial_growth (z − axial_best)². Where θ is above `oblique_angle`, σ_z increases
       by axial_slope θ²/((π/2 − θ)² √z).
    4. Quantisation: the disparity focal_baseline/z is measured in steps of `disparity_step`, so
       neighbouring depths differ by approximately z² disparity_step/focal_baseline.

    Attributes:
        lateral: Lateral standard deviation at θ = 0 in pixels.
        lateral_slope: Growth of the lateral standard deviation with the angle, in pixels.
        axial: Smallest axial standard deviation in metres.
        axial_growth: Growth of the axial standard deviation with the depth, in 1/metres.
        axial_best: Depth in metres at which the axial standard deviation is smallest.
        axial_slope: Growth of the axial standard deviation with the angle, in metres^(3/2).
        oblique_angle: Angle in radians above which the axial noise grows with the angle.
        grazing_angle: Largest angle in radians at which the camera measures a depth.
        disparity_step: Step of the disparity in pixels; 0 for no quantisation.
        focal_baseline: Product of focal length and baseline, in pixels × metres.
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
        """Return the lateral standard deviation σ_L in pixels, for angles below π/2."""
        return self.lateral + self.lateral_slope * angle / (pi / 2 - angle)

    def axial_deviation(
        self, depth: Float[np.ndarray, "*shape"], angle: Float[np.ndarray, "*shape"]
    ) -> Float[np.ndarray, "*shape"]:
        """Return the axial standard deviation σ_z in metres.

        Depths must be above 0 m, and angles below π/2.
        """
        oblique = self.axial_slope * (angle / (pi / 2 - angle)) ** 2 / np.sqrt(depth)
        frontal = self.axial + self.axial_growth * (depth - self.axial_best) ** 2
        return frontal + np.where(angle > self.oblique_angle, oblique, 0)

    def quantised(self, depth: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Round depths above 0 to a whole number of disparity steps.

        The result is 0 for a depth with a disparity that rounds to 0 steps.
        """
        if self.disparity_step == 0:
            return depth
        steps = np.round(self.focal_baseline / depth / self.disparity_step)
        far = steps < 1
        return np.where(
            far, 0, self.focal_baseline / (self.disparity_step * np.where(far, 1, steps))
        )


_DISTANCES = 0.5, 1.0  # smallest and largest camera distance in `random_views`, in metres

KINECT = DepthNoise()
"""Noise of the first-generation Kinect camera."""


@dataclass(frozen=True, eq=False)
class View:
    """One depth image of an object together with the pose of the camera.

    Attributes:
        depth: Depth of each pixel along the camera's z axis in metres; 0 where the camera measured
            nothing.
        mask: True for each pixel that shows the object. Some of these pixels may have no measured
            depth.
        intrinsics: Intrinsic matrix of the camera in pixels.
        T_camera_object: Pose of the object's frame in the camera's frame.
    """

    depth: Float[np.ndarray, "height width"]
    mask: Bool[np.ndarray, "height width"]
    intrinsics: Float[np.ndarray, "3 3"]
    T_camera_object: Float[np.ndarray, "4 4"]

    def points(self) -> Float[np.ndarray, "points 3"]:
        """Return the measured points in metres, in the camera frame, row by row of the image."""
        return DepthImage(self.depth, self.intrinsics, self.mask).points()

    def in_camera(self, name: str = "view") -> Object:
        """Return the measured cloud in the camera frame, with normals towards the camera.

        If `write_view` writes the view to a file, `load_object` reads an equal cloud from the file,
        without stray points.

        Args:
            name: Name of the cloud.

        Raises:
            InputError: If too few points were measured.
        """
        return Object.from_points(self.points(), viewpoint=np.zeros(3), name=name)

    def in_object(self, name: str = "view") -> Object:
        """Return the measured cloud and its normals in the object's frame.

        Args:
            name: Name of the cloud.

        Raises:
            InputError: If too few points were measured.
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
    """Return the pose `T_camera_object` for an upright camera that looks at a point.

    Args:
        position: Position of the camera in the object's frame.
        target: Point in the middle of the picture, in the object's frame.
        up: Direction in the object's frame that points up in the picture. If the camera looks along
            `up`, the object's x axis points up instead.

    Raises:
        InputError: If the camera is at its target, a number is not finite, or `up` is zero.
    """
    forward = target - position
    distance = np.linalg.norm(forward)
    if not distance < inf:  # also true for NaN
        raise InputError(
            f"a camera and its target must be at finite positions, got {position} and {target}"
        )
    if not distance > 0:
        raise InputError(
            f"a camera must not look at its own position, got {position} for camera and target"
        )
    forward = forward / distance
    upward = np.array(up, np.float64)
    length = np.linalg.norm(upward)
    if not 0 < length < inf:
        raise InputError(f"the up direction must be finite and not zero, got {list(up)}")
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
    """Draw poses `T_camera_object` of cameras that look at a point from uniform random directions.

    Args:
        count: Number of cameras.
        centre: Point at which all cameras look, in the object's frame.
        distance: Distance in metres from the centre to each camera.
        rng: Source of randomness.
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
    exact: bool = False,
) -> View:
    """Render the depth image of a mesh by ray casting, with one ray per pixel.

    Args:
        obj: Mesh to render.
        T_camera_object: Pose of the object's frame in the camera's frame, e.g. from `look_at`.
        intrinsics: Intrinsic matrix of the camera in pixels.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        noise: Noise of the camera; None for exact depths.
        rng: Source of randomness for the noise; required if there is noise.
        exact: True to cast the rays in double precision. This is slower, but the image does not
            depend on the ray caster that the machine has.

    Raises:
        InputError: If the object is a point cloud, the intrinsics are not a valid camera matrix,
            the pose is not a rigid transform, or there is noise but no `rng`.
    """
    if obj.faces is None:
        raise InputError(f"{obj.file or obj.name} is a point cloud, expected a mesh to render")
    check_intrinsics(intrinsics)
    check_poses("camera", T_camera_object[None])
    vertices = obj.vertices @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
    rays = pixel_rays(intrinsics, height, width)
    depth, angle = _cast(vertices, obj.faces, rays.reshape(-1, 3), exact)
    depth, angle = depth.reshape(height, width), angle.reshape(height, width)
    mask = depth > 0
    if noise is not None:
        if rng is None:
            raise InputError("a view with noise needs a random generator `rng`, got none")
        depth = np.where(mask, _measured(depth, angle, noise, rng), 0)
    return View(depth, mask, intrinsics.copy(), T_camera_object.copy())


def _cast(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    rays: Float[np.ndarray, "rays 3"],
    exact: bool,
) -> tuple[Float[np.ndarray, " rays"], Float[np.ndarray, " rays"]]:
    """Find the depth and the angle θ of the first surface on each ray (x, y, 1) from the origin.

    Depth and angle are 0 for a ray that meets nothing. The direction of each ray has z = 1, so the
    depth is the distance along the ray divided by the length of the direction.
    """
    hits = Target(vertices, faces, exact).first(np.zeros(rays.shape), rays)
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
    """Add noise to depths in metres; the result is 0 where the camera measures nothing."""
    height, width = depth.shape
    # Nothing is measured beyond the grazing angle, and the formulas diverge at π/2.
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
    """Write a view to a file that `load_object` and `read_view` can read.

    The file is written completely or not at all.

    Args:
        path: File to write, ending in .npz.
        view: View to write.

    Raises:
        InputError: If the path does not end in .npz, or the file cannot be written.
    """
    if Path(path).suffix.lower() != ".npz":
        raise InputError(f"a view must be written to a file that ends in .npz, got {path}")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            depth=view.depth,
            mask=view.mask,
            intrinsics=view.intrinsics,
            T_camera_object=view.T_camera_object,
        )


def read_view(path: str | os.PathLike[str]) -> View:
    """Read a view that `write_view` wrote.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is missing or damaged, or has no mask or no pose.
    """
    path = Path(path)
    stored = read_npz(path, ("mask", "T_camera_object"))
    missing = [name for name in ("mask", "T_camera_object") if name not in stored]
    if missing:
        raise InputError(f"{path} has no array named {missing[0]}")
    pose = stored["T_camera_object"]
    if pose.shape != (4, 4) or pose.dtype.kind != "f" or not np.isfinite(pose).all():
        raise InputError(
            f"T_camera_object in {path} must be a 4 × 4 matrix of finite floating-point numbers"
        )
    image = read_depth_image(path)
    assert image.mask is not None
    return View(image.depth, image.mask, image.intrinsics, pose)


def random_views(obj: Object, count: int, rng: np.random.Generator) -> list[Object]:
    """Render point clouds of an object. Each cloud shows the side that faces a depth camera.

    The cameras look at the object's centre from uniformly random directions. Their distances are
    uniform between 0.5 m and 1 m, and their noise is `KINECT`.

    Args:
        obj: Mesh to render.
        count: Number of clouds.
        rng: Source of randomness for directions, distances and noise.

    Returns:
        The clouds in the object's frame.
    """
    views = []
    for _ in range(count):
        (camera,) = poses_on_sphere(1, obj.centre, rng.uniform(*_DISTANCES), rng)
        views.append(render_view(obj, camera, noise=KINECT, rng=rng).in_object())
    return views
