"""The arrays of GraspNet-1Billion: one row of 17 numbers per grasp, in a .npy file.

`graspnetAPI` defines the format (`GraspGroup.save_npy` and `from_npy`; Fang, Wang, Gou and Lu,
"GraspNet-1Billion", CVPR 2020). Lengths are in metres. A row contains

    score, width, height, depth, rotation (9 numbers, row by row), translation (3), object id

The rotation R and the translation t describe GraspNet's own frame of the hand. Its origin is the
grasp centre on the approach axis, +x is the approach direction, and the fingers close along y. In
this frame the fingertips end at x = depth, as in `plot_gripper_pro_max` of `graspnetAPI`.

Our gripper frame has its origin at the base of the hand, +z along the approach and +x along the
closing direction. The two hands coincide if their fingertips end at the same point. If the fingers
of the gripper end at z = e in our frame, a row therefore means

    T_object_grasp = [R t; 0 1] · [A p; 0 1]   with A = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
                                               and  p = (depth − e, 0, 0)

The columns of A are our x, y and z axes in GraspNet's frame. So the reader needs to know the
gripper, which the format does not name. The poses are in the frame of the camera, as GraspNet's
annotations of scenes and its predictions are. An array cannot state another frame: the writer keeps
the frame of the grasps, and the reader always states "camera".

The score ranks the grasps but is not a probability: GraspNet's labels have 1.1 minus the least
coefficient of friction. The reader returns the negative score as the energy. The writer stores the
probability of success as the score if it is known, otherwise the negative energy, otherwise 1 for a
success and 0 for a failure, otherwise 0. It stores an unknown width as the stroke of the gripper,
the width of the fingers as the height, and the depth at which GraspNet's origin is the tool centre
point. The object id −1 means that the object is unknown.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float

from grasp.formats.convention import Convention
from grasp.formats.record import Grasps
from grasp.grippers.gripper import Gripper
from grasp.objects.object import CAMERA_FRAME
from grasp.poses.frames import axes, inverse
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError
from pcdiff.geometry.arrays import read_npy

COLUMNS = 17
"""Numbers per grasp."""

UNKNOWN_OBJECT = -1
"""The object id of grasps whose object is unknown."""

MOST_GRASPS = 1_000_000
"""Largest number of grasps in a file that the reader accepts."""

NO_ROWS = "the file has no grasps; the format graspnet cannot state a reason"
"""The reason that the reader states for an array without rows."""


def fingertip_frame(gripper: Gripper) -> Float[np.ndarray, "4 4"]:
    """Return the pose of our gripper frame in GraspNet's frame with its origin at the fingertips.

    Args:
        gripper: Gripper whose fingers end at z = e in its frame; the translation is (−e, 0, 0).
    """
    T_fingertips_grasp = axes("+x", "+y")
    T_fingertips_grasp[0, 3] = -_finger_end(gripper)
    return T_fingertips_grasp


def read(
    path: str | os.PathLike[str], gripper: Gripper | None, object_id: str | None = None
) -> tuple[Grasps, Convention]:
    """Read the grasps of an array, and the unit and frame that the format defines.

    Args:
        path: File to read.
        gripper: Gripper of the grasps.
        object_id: Id of the object whose grasps are read; None reads the grasps of the only object
            in the file.

    Raises:
        InputError: If the array has another shape or a number that is not finite, a rotation is
            not orthonormal, no gripper is given, the file has grasps of several objects and no
            `object_id` is given, or it has no grasp of the requested object.
    """
    table = _table(Path(path))
    if gripper is None:
        raise InputError(
            "the grasps of a graspnet array are poses of the grasp centre: state the gripper, "
            "whose finger length converts them to poses of the hand",
            parameter="gripper",
        )
    table = table[_rows_of(table[:, 16], object_id)]
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = table[:, 4:13].reshape(-1, 3, 3)
    # The origin moves along the approach, the first column of R, to the end of the fingers.
    poses[:, :3, 3] = table[:, 13:16] + table[:, 3:4] * poses[:, :3, 0]
    check_poses("grasp", poses)
    grasps = Grasps(
        poses=poses,
        gripper=gripper.name,
        energy=-table[:, 0],
        width=table[:, 1],
        reason=None if len(table) else NO_ROWS,
        frame=CAMERA_FRAME,
    )
    return grasps, Convention("m", fingertip_frame(gripper), written=True)


def write(temporary: Path, grasps: Grasps, gripper: Gripper) -> None:
    """Write the grasps as an array to a new file.

    Args:
        temporary: File to write.
        grasps: Grasps to write.
        gripper: Gripper of the grasps.
    """
    end = _finger_end(gripper)
    depth = max(0.0, end - float(gripper.tool_center_point[2]))
    T_fingertips = grasps.poses @ inverse(fingertip_frame(gripper))
    rotations = T_fingertips[:, :3, :3]
    table = np.empty((len(grasps), COLUMNS))
    table[:, 0] = _scores(grasps)
    table[:, 1] = gripper.stroke if grasps.width is None else grasps.width
    table[:, 2] = gripper.finger_width
    table[:, 3] = depth
    table[:, 4:13] = rotations.reshape(-1, 9)
    table[:, 13:16] = T_fingertips[:, :3, 3] - depth * rotations[:, :, 0]
    table[:, 16] = UNKNOWN_OBJECT
    with temporary.open("wb") as file:
        np.save(file, table, allow_pickle=False)


def _table(path: Path) -> Float[np.ndarray, "grasps 17"]:
    table = read_npy(path)
    if table.ndim != 2 or table.shape[1] != COLUMNS or table.dtype.kind not in "fiu":
        raise InputError(
            f"a graspnet array must contain numbers of shape (grasps, {COLUMNS}), "
            f"got {table.dtype} of shape {table.shape}"
        )
    if len(table) > MOST_GRASPS:
        raise InputError(f"the array must have at most {MOST_GRASPS} grasps, got {len(table)}")
    numbers = np.array(table, np.float64)
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        raise InputError(f"grasp {finite.argmin()} has a number that is not finite")
    return numbers


def _rows_of(ids: Float[np.ndarray, " grasps"], object_id: str | None) -> np.ndarray:
    """Return a mask of the grasps of one object."""
    found = [f"{each:g}" for each in np.unique(ids)]
    if object_id is None:
        if len(found) > 1:
            raise InputError(
                f"the array has grasps of the objects {', '.join(found)}: state the id of one",
                parameter="object_id",
            )
        return np.ones(len(ids), bool)
    if object_id not in found:
        raise InputError(
            f"the object id must be one of {', '.join(found) or 'none'}, got {object_id!r}",
            parameter="object_id",
        )
    return np.array([f"{each:g}" == object_id for each in ids], bool)


def _finger_end(gripper: Gripper) -> float:
    return max(float(box.centre[2] + box.half_extents[2]) for box in gripper.finger_boxes)


def _scores(grasps: Grasps) -> np.ndarray | float:
    if grasps.success_probability is not None:
        return grasps.success_probability
    if grasps.energy is not None:
        return -grasps.energy
    return 0.0 if grasps.success is None else grasps.success.astype(np.float64)
