"""Load an arm: a shipped one by its name, or any other from its URDF.

A shipped arm is a URDF file and a TOML file with what URDF does not say: the link at the tip, the
gripper and its mounting, and a home configuration. `grasp/robots/panda.toml` explains the entries.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from grasp.documents import check_keys, read_toml, rotation_of, vector
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.grippers.urdf import read_urdf
from grasp.poses.rigid import check_poses
from grasp.robots.arm import Arm, checked_configuration
from grasp.robots.kinematics import kinematics_of
from grasp.robots.spheres import Spheres, gripper_spheres, link_spheres
from pcdiff.bounds import shown
from pcdiff.errors import InputError

SHIPPED = Path(__file__).resolve().parent

_KEYS = {"urdf", "tip", "gripper", "mount", "home"}
_MOUNT_KEYS = {"position", "quaternion_xyzw"}


def shipped_robots() -> list[str]:
    """Return the names of the arms that come with the package, sorted."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def load_robot(name: str, gripper: str | Gripper | None = None) -> Arm:
    """Load a shipped arm.

    Args:
        name: `panda` or `ur5e`.
        gripper: Name of another gripper, or a gripper, at the same mounting; None for the usual
            one.

    Raises:
        InputError: If no shipped arm or gripper has this name.
    """
    if name not in shipped_robots():
        raise InputError(
            f"there is no robot {shown(name)}: expected {', '.join(shipped_robots())}, or load "
            "another one from its URDF",
            parameter="robot",
        )
    path = SHIPPED / f"{name}.toml"
    entries = read_toml(path, "robot file")
    check_keys(entries, _KEYS, str(path), {"analytic"})
    arm = robot_from_urdf(
        path.parent / entries["urdf"],
        tip=entries["tip"],
        T_tip_grasp=_mounting(entries["mount"], f"{path}: mount"),
        gripper=entries["gripper"] if gripper is None else gripper,
        home=entries["home"],
    )
    return replace(arm, analytic=entries.get("analytic"))


def _mounting(entries: dict[str, Any], source: str) -> Float[np.ndarray, "4 4"]:
    """Return the pose in the table `mount` of a robot file."""
    check_keys(entries, _MOUNT_KEYS, source)
    name = "quaternion_xyzw"
    pose = np.eye(4)
    pose[:3, :3] = rotation_of(name, vector(name, entries[name], 4))
    pose[:3, 3] = vector("position", entries["position"])
    return pose


def robot_from_urdf(
    path: str | os.PathLike[str],
    tip: str,
    T_tip_grasp: np.ndarray,
    gripper: str | Gripper = "panda",
    home: Sequence[float] | None = None,
    meshes: str | os.PathLike[str] | None = None,
) -> Arm:
    """Load an arm from its URDF.

    Args:
        path: The URDF file.
        tip: Name of the link that carries the gripper.
        T_tip_grasp: Pose of the gripper's frame in the link `tip`: +z approaches, +x closes. For
            Franka's link `panda_hand` this is a rotation by π/2 around z, and for its flange
            `panda_link8` a rotation by π/4.
        gripper: Name of a shipped gripper, path of a gripper file, or a gripper. Links of the URDF
            after `tip` are not part of the arm's shape; the gripper's boxes take their place.
        home: A configuration without collisions in radians and metres; None for the middle of the
            limits.
        meshes: Folder of the mesh files that the URDF names; None for the folder of the URDF.

    Raises:
        InputError: If the URDF cannot be used (`grasp.grippers.urdf.read_urdf`), it has no such
            link, the pose is not rigid, or the home configuration is outside the limits.
    """
    pose: Any = np.asarray(T_tip_grasp, np.float64)
    if pose.shape != (4, 4):
        raise InputError(f"T_tip_grasp must be a pose, 4 x 4 numbers, got the shape {pose.shape}")
    check_poses("T_tip_grasp", pose[None])
    robot = read_urdf(path, meshes)
    kinematics, placed = kinematics_of(robot, tip)
    hand = gripper if isinstance(gripper, Gripper) else load_gripper(gripper)
    beyond = {link for link in robot.links if any(j.parent == tip for j in robot.path_to(link))}
    arm_only = {link: solid for link, solid in robot.links.items() if link not in beyond}
    frame, T_frame_tip = placed[tip]
    lower, upper = kinematics.lower.numpy(), kinematics.upper.numpy()
    limited = np.isfinite(lower)
    q = np.where(limited, lower, 0.0) / 2 + np.where(limited, upper, 0.0) / 2
    if home is not None:
        q = np.asarray(home, np.float64)
    return Arm(
        name=robot.name,
        kinematics=kinematics,
        gripper=hand,
        T_tip_grasp=pose,
        links=Spheres.gather(link_spheres(arm_only, placed)),
        hand=Spheres.gather(gripper_spheres(hand, frame, T_frame_tip @ pose)),
        home=checked_configuration(kinematics, q, "home"),
    )
