"""Forward kinematics of a serial arm, and Jacobians, for many configurations at once.

A configuration q has one number per moving joint, in radians or metres. Joint i moves frame i
relative to frame i − 1; frame 0 is the root link of the description. With the joint's axis a,

    T_{i−1,i}(q) = A · (I + sin(q) K + (1 − cos(q)) K²)   for a revolute joint, K = â (Rodrigues)
    T_{i−1,i}(q) = A · (I + q P)                          for a prismatic joint, P translates by a

so every joint is A + f₁(q) B + f₂(q) C with constant matrices.

Jacobians are taken in the body frame of a pose H: column j of J(q) is the tangent vector (ρ, ω)
with H(q + h eⱼ) = retract(H(q), h J eⱼ) to first order in h, where `retract` is the one of
`pcdiff.manifolds.se3.SE3`. So the gradient of a cost c(H(q)) by q is Jᵀ times its gradient by the
pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp.grippers.urdf import Robot
from pcdiff.errors import InputError
from pcdiff.manifolds.so3 import hat
from pcdiff.randomness import Generator, uniform


@dataclass(frozen=True, eq=False)
class Kinematics:
    """The joints of a serial arm, from the root of its description to the link at its tip.

    Attributes:
        names: Names of the moving joints.
        fixed: The matrices A.
        first: The matrices B.
        second: The matrices C.
        axis: Axes a, in the frame after the joint.
        revolute: True for a joint that turns, false for a joint that slides.
        lower: Lowest positions, in radians or metres; −∞ if a joint has no limits.
        upper: Highest positions.
        velocity: Largest speeds in radians or metres per second; ∞ if they are not stated.
        T_last_tip: Pose of the link at the tip in the frame of the last joint.
    """

    names: tuple[str, ...]
    fixed: Float[Tensor, "joints 4 4"]
    first: Float[Tensor, "joints 4 4"]
    second: Float[Tensor, "joints 4 4"]
    axis: Float[Tensor, "joints 3"]
    revolute: Bool[Tensor, " joints"]
    lower: Float[Tensor, " joints"]
    upper: Float[Tensor, " joints"]
    velocity: Float[Tensor, " joints"]
    T_last_tip: Float[Tensor, "4 4"]

    @property
    def joints(self) -> int:
        """Number of moving joints."""
        return len(self.names)

    def to(self, like: Tensor) -> Kinematics:
        """Return the kinematics on the device of a tensor and in its floating-point type."""
        if self.fixed.dtype == like.dtype and self.fixed.device == like.device:
            return self
        changed: dict[str, Any] = {
            each.name: getattr(self, each.name).to(like)
            for each in fields(self)
            if each.name not in ("names", "revolute")
        }
        return replace(self, revolute=self.revolute.to(like.device), **changed)

    def frames(self, q: Float[Tensor, "*batch joints"]) -> Float[Tensor, "*batch frames 4 4"]:
        """Return the poses `T_root_frame` of frame 0, the root, and of the frame of each joint.

        Args:
            q: Configurations.

        Raises:
            InputError: If the number of joints is wrong.
        """
        if q.shape[-1] != self.joints:
            raise InputError(
                f"a configuration must have {self.joints} numbers, one per joint, got {q.shape[-1]}"
            )
        own = self.to(q)
        turn = torch.where(own.revolute, torch.sin(q), q)[..., None, None]
        bend = torch.where(own.revolute, 1 - torch.cos(q), 0)[..., None, None]
        local = own.fixed + turn * own.first + bend * own.second
        poses = [torch.eye(4, dtype=q.dtype, device=q.device).expand(*q.shape[:-1], 4, 4)]
        for joint in range(self.joints):
            poses.append(poses[-1] @ local[..., joint, :, :])
        return torch.stack(poses, dim=-3)

    def tip(self, frames: Float[Tensor, "*batch frames 4 4"]) -> Float[Tensor, "*batch 4 4"]:
        """Return the pose `T_root_tip` of the link at the tip.

        Args:
            frames: The poses that `frames` returns.
        """
        return frames[..., -1, :, :] @ self.to(frames).T_last_tip

    def jacobian(
        self, frames: Float[Tensor, "*batch frames 4 4"], poses: Float[Tensor, "*batch 4 4"]
    ) -> Float[Tensor, "*batch 6 joints"]:
        """Return the Jacobian, in the body frame, of poses that are fixed to the tip.

        Args:
            frames: The poses that `frames` returns.
            poses: Poses in the root frame that move with the last joint.
        """
        linear, angular = self._columns(frames, poses[..., None, :3, 3])
        world_to_body = poses[..., :3, :3].mT
        return torch.cat([world_to_body @ linear[..., 0, :, :], world_to_body @ angular], dim=-2)

    def point_jacobians(
        self,
        frames: Float[Tensor, "*batch frames 4 4"],
        points: Float[Tensor, "*batch points 3"],
        frame: Int[Tensor, " points"],
    ) -> Float[Tensor, "*batch points 3 joints"]:
        """Return the derivatives of points by the configuration, in the root frame.

        Args:
            frames: The poses that `frames` returns.
            points: Points in the root frame, in metres.
            frame: Index of the frame that each point moves with.
        """
        linear, _ = self._columns(frames, points)
        # A joint moves the frames after it only.
        moved = frame[:, None] > torch.arange(self.joints, device=frame.device)
        return linear * moved[:, None, :]

    def _columns(
        self, frames: Float[Tensor, "*batch frames 4 4"], points: Float[Tensor, "*batch points 3"]
    ) -> tuple[Float[Tensor, "*batch points 3 joints"], Float[Tensor, "*batch 3 joints"]]:
        """Return the velocity of points and the angular velocity, per unit speed of each joint."""
        own = self.to(frames)
        moving = frames[..., 1:, :, :]
        axis = (moving[..., :3, :3] @ own.axis[:, :, None])[..., 0]
        arm = points[..., :, None, :] - moving[..., None, :, :3, 3]
        around = torch.linalg.cross(axis[..., None, :, :].expand_as(arm), arm)
        turns = own.revolute[:, None]
        linear = torch.where(turns, around, axis[..., None, :, :])
        angular = torch.where(turns, axis, 0)
        return linear.mT, angular.mT

    def random(self, count: int, generator: Generator) -> Float[Tensor, "count joints"]:
        """Draw configurations uniformly between the limits, or within ±π for a joint without them.

        Args:
            count: Number of configurations.
            generator: Source of randomness.
        """
        lower = self.lower.where(torch.isfinite(self.lower), -math.pi)
        upper = self.upper.where(torch.isfinite(self.upper), math.pi)
        share = uniform((count, self.joints), generator).to(lower)
        return lower + share * (upper - lower)


def kinematics_of(robot: Robot, tip: str) -> tuple[Kinematics, dict[str, tuple[int, np.ndarray]]]:
    """Return the kinematics of the joints between the root of a robot and a link.

    All joints that are not on this way stay at position 0, or at the nearest position to 0 that
    their limits allow.

    Args:
        robot: The robot's description.
        tip: Name of the link at the tip.

    Returns:
        The kinematics, and for each link the index of the frame that it moves with and its pose in
        this frame.

    Raises:
        InputError: If there is no such link, no joint moves it, or a joint on the way mimics
            another joint, is planar or is floating.
    """
    if tip not in robot.links:
        raise InputError(
            f"the robot {robot.name} must have the link {tip!r}, got the links "
            f"{', '.join(list(robot.links)[:30])}",
            parameter="tip",
        )
    way = [joint.child for joint in robot.path_to(tip)]
    moving = [robot.joints[link] for link in way if robot.joints[link].type != "fixed"]
    if not moving:
        raise InputError(f"no joint of the robot {robot.name} moves the link {tip!r}")
    for joint in moving:
        if joint.mimics is not None or joint.type not in ("revolute", "continuous", "prismatic"):
            kind = "mimics another joint" if joint.mimics else f"is {joint.type}"
            raise InputError(
                f"each joint of an arm must turn or slide on its own, but {joint.name} {kind}"
            )
    placed: dict[str, tuple[int, np.ndarray]] = {robot.root: (0, np.eye(4))}
    before: list[np.ndarray] = []
    for link in _from_root(robot):
        joint = robot.joints[link]
        frame, pose = placed[joint.parent]
        pose = pose @ joint.T_parent_child
        if joint in moving:
            before.append(pose)
            frame, pose = moving.index(joint) + 1, np.eye(4)
        elif joint.type in ("revolute", "continuous", "prismatic"):
            low, high = joint.limits or (0.0, 0.0)
            pose = pose @ _moved(joint.type, joint.axis, min(max(0.0, low), high))
        placed[link] = frame, pose
    fixed = torch.tensor(np.array(before))
    axis = torch.tensor(np.array([joint.axis for joint in moving]))
    revolute = torch.tensor([joint.type != "prismatic" for joint in moving])
    cross, slide = torch.zeros_like(fixed), torch.zeros_like(fixed)
    cross[:, :3, :3] = hat(axis)
    slide[:, :3, 3] = axis
    generator = torch.where(revolute[:, None, None], cross, slide)
    limits = [
        (-math.inf, math.inf) if joint.type == "continuous" or not joint.limits else joint.limits
        for joint in moving
    ]
    lower, upper = torch.tensor(limits, dtype=torch.float64).T
    if (lower > upper).any():
        raise InputError(f"the lower limits of {robot.name} must not be above its upper limits")
    speeds = [joint.velocity or math.inf for joint in moving]
    kinematics = Kinematics(
        names=tuple(joint.name for joint in moving),
        fixed=fixed,
        first=fixed @ generator,
        second=fixed @ cross @ cross,
        axis=axis,
        revolute=revolute,
        lower=lower,
        upper=upper,
        velocity=torch.tensor(speeds, dtype=torch.float64),
        T_last_tip=torch.tensor(placed[tip][1]),
    )
    return kinematics, placed


def _from_root(robot: Robot) -> list[str]:
    """Return the names of all links but the root, each after its parent."""
    return sorted(robot.joints, key=lambda link: len(robot.path_to(link)))


def _moved(kind: str, axis: Float[np.ndarray, "3"], position: float) -> Float[np.ndarray, "4 4"]:
    from scipy.spatial.transform import Rotation

    pose = np.eye(4)
    if kind == "prismatic":
        pose[:3, 3] = position * axis
    else:
        pose[:3, :3] = Rotation.from_rotvec(position * axis).as_matrix()
    return pose
