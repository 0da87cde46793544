"""The surroundings of an object to grasp: a table, boxes, meshes and point clouds."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from grasp.grippers.gripper import Gripper
from grasp.objects.cleaning import frozen
from grasp.objects.object import Object
from grasp.poses.rigid import check_poses
from grasp.scenes import collision
from grasp.scenes.arrays import Array, as_double, like, on_host
from grasp.scenes.collision import DENSITY
from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_POINTS


@dataclass(frozen=True, eq=False)
class PlacedBox:
    """A box in a scene.

    Args:
        size: Side lengths, (3,), in metres.
        T_world_box: Pose of the box's frame in the world. The origin of the frame is the centre of
            the box, and the axes of the frame are parallel to the sides.

    Raises:
        InputError: If a side length is not above 0 or the pose is not rigid.
    """

    size: Float[np.ndarray, "3"]
    T_world_box: Float[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.size).all() and (self.size > 0).all()):
            raise InputError(
                "the side lengths of a box must be above 0 and finite, got "
                f"{np.asarray(self.size).tolist()}"
            )
        check_poses("box", self.T_world_box[None])


@dataclass(frozen=True, eq=False)
class PlacedMesh:
    """A mesh in a scene.

    Args:
        object: The mesh, for example from `load_object`.
        T_world_mesh: Pose of the mesh file's frame in the world.

    Raises:
        InputError: If the object is a point cloud or the pose is not rigid.
    """

    object: Object
    T_world_mesh: Float[np.ndarray, "4 4"]

    def __post_init__(self) -> None:
        if not self.object.is_mesh:
            raise InputError(
                f"{self.object.file or self.object.name} is a point cloud, expected a mesh"
            )
        check_poses("mesh", self.T_world_mesh[None])


@dataclass(frozen=True, eq=False)
class PlacedCloud:
    """A point cloud in a scene: points on surfaces, for example from a depth camera.

    Args:
        points: Points in metres in the cloud's frame.
        T_world_cloud: Pose of the cloud's frame in the world.
        remarks: Sentences for the user about how the file of the cloud was read.

    Raises:
        InputError: If a point is not finite or the pose is not rigid.
    """

    points: Float[np.ndarray, "points 3"]
    T_world_cloud: Float[np.ndarray, "4 4"]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not np.isfinite(self.points).all():
            raise InputError("the points of a cloud must be finite, got NaN or infinity")
        check_poses("cloud", self.T_world_cloud[None])


@dataclass(frozen=True, eq=False)
class Scene:
    """The surroundings of an object to grasp, without the object. Lengths are in metres.

    Args:
        T_world_table: Pose of the table's frame in the world. The table fills the half-space z < 0
            of its frame. None means that there is no table.
        boxes: Boxes of the scene.
        meshes: Meshes of the scene.
        clouds: Point clouds of the scene.
        T_world_object: Pose of the object to grasp in the world.

    Raises:
        InputError: If a pose is not rigid.
    """

    T_world_table: Float[np.ndarray, "4 4"] | None = None
    boxes: tuple[PlacedBox, ...] = ()
    meshes: tuple[PlacedMesh, ...] = ()
    clouds: tuple[PlacedCloud, ...] = ()
    T_world_object: Float[np.ndarray, "4 4"] = field(default_factory=lambda: frozen(np.eye(4)))

    def __post_init__(self) -> None:
        check_poses("object", self.T_world_object[None])
        if self.T_world_table is not None:
            check_poses("table", self.T_world_table[None])

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user about how the files of the meshes and clouds were read."""
        meshes = [remark for mesh in self.meshes for remark in mesh.object.remarks]
        return (*meshes, *(remark for cloud in self.clouds for remark in cloud.remarks))

    def in_collision(
        self,
        poses: Float[Array, "n 4 4"],
        gripper: Gripper,
        width: float | None = None,
    ) -> Bool[Array, " n"]:
        """Test whether the gripper collides with the surroundings, not with the object to grasp.

        The test is exact for the table and the boxes. Meshes and clouds are represented by points
        on their surfaces; see `grasp.scenes.collision`.

        Args:
            poses: Grasp poses `T_object_grasp`, an array or a tensor on any device; translations in
                metres.
            gripper: Gripper at each pose.
            width: Opening between the pads in metres. None means the largest opening.

        Raises:
            InputError: If a pose is not rigid or another argument is out of its range.
        """
        check_poses("grasp", on_host(poses))
        poses = as_double(poses)
        T_world_grasp = like(poses, self.T_world_object) @ poses
        found = collision.in_collision(T_world_grasp, gripper, self.points, width)
        if self.T_world_table is not None:
            found |= collision.meets_half_space(T_world_grasp, gripper, self.T_world_table, width)
        for box in self.boxes:
            found |= collision.meets_box(T_world_grasp, gripper, box.T_world_box, box.size, width)
        return found

    @cached_property
    def points(self) -> Float[np.ndarray, "points 3"]:
        """Random points on the meshes and all points of the clouds, in metres in the world frame.

        A mesh gets `grasp.scenes.collision.DENSITY` points per square metre. The points on a mesh
        do not depend on its pose.

        Raises:
            InputError: If a mesh would get more than `pcdiff.geometry.limits.MAXIMUM_POINTS`
                points.
        """
        found = [np.empty((0, 3))]
        for placed in self.meshes:
            count = max(1, round(placed.object.area * DENSITY))
            if count > MAXIMUM_POINTS:
                raise InputError(
                    f"{placed.object.file or placed.object.name} would have {count} points at "
                    f"{DENSITY:g} per square metre, expected at most {MAXIMUM_POINTS}"
                )
            rng = np.random.default_rng([0, int(placed.object.sha256, 16)])
            found.append(_in_world(placed.T_world_mesh, placed.object.surface(count, rng)[0]))
        found += [_in_world(cloud.T_world_cloud, cloud.points) for cloud in self.clouds]
        return np.concatenate(found)


def _in_world(T_world_it: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ T_world_it[:3, :3].T + T_world_it[:3, 3]
