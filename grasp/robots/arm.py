"""A robot arm with a gripper: its kinematics, its shape and where a grasp is on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp.grippers.gripper import Gripper
from grasp.robots.kinematics import Kinematics
from grasp.robots.spheres import Spheres
from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Arm:
    """A serial arm that carries a gripper.

    Poses are in the root frame of the description, in metres.

    Attributes:
        name: Name of the robot.
        kinematics: Joints from the root to the link at the tip.
        gripper: Gripper at the tip.
        T_tip_grasp: Pose of the gripper's frame in the frame of the link at the tip. A grasp that
            the arm makes has the pose T_root_tip(q) · T_tip_grasp.
        links: Spheres around the links.
        hand: Spheres around the open gripper.
        home: A configuration without collisions, in radians and metres.
        analytic: Name of the arm in the package `frankik`, which solves its inverse kinematics;
            None for an arm without an analytic solution.
    """

    name: str
    kinematics: Kinematics
    gripper: Gripper
    T_tip_grasp: Float[np.ndarray, "4 4"]
    links: Spheres
    hand: Spheres
    home: Float[np.ndarray, " joints"]
    analytic: str | None = None

    def __repr__(self) -> str:
        return f"Arm({self.name}, {self.kinematics.joints} joints, with {self.gripper!r})"

    @property
    def joints(self) -> int:
        """Number of moving joints."""
        return self.kinematics.joints

    def grasp_poses(self, q: Float[Tensor, "*batch joints"]) -> Float[Tensor, "*batch 4 4"]:
        """Return the poses `T_root_grasp` of the gripper.

        Args:
            q: Configurations in radians and metres.

        Raises:
            InputError: If the number of joints is wrong.
        """
        return self.grasp_at(self.kinematics.frames(q))

    def grasp_at(self, frames: Float[Tensor, "*batch frames 4 4"]) -> Float[Tensor, "*batch 4 4"]:
        """Return the poses of the gripper for poses of the frames; see `Kinematics.frames`."""
        return self.kinematics.tip(frames) @ frames.new_tensor(self.T_tip_grasp)

    def grasp_jacobian(
        self, q: Float[Tensor, "*batch joints"]
    ) -> tuple[Float[Tensor, "*batch 4 4"], Float[Tensor, "*batch 6 joints"]]:
        """Return the poses of the gripper and their Jacobians in the gripper's frame.

        Args:
            q: Configurations in radians and metres.
        """
        frames = self.kinematics.frames(q)
        poses = self.grasp_at(frames)
        return poses, self.kinematics.jacobian(frames, poses)

    def within_limits(self, q: Float[Tensor, "*batch joints"]) -> Bool[Tensor, "*batch"]:
        """Return whether each configuration lies within the limits of all joints."""
        own = self.kinematics.to(q)
        return ((q >= own.lower) & (q <= own.upper)).all(dim=-1)

    def clamped(self, q: Float[Tensor, "*batch joints"]) -> Float[Tensor, "*batch joints"]:
        """Return the nearest configurations within the limits."""
        own = self.kinematics.to(q)
        return q.clamp(own.lower, own.upper)

    @cached_property
    def spheres(self) -> Spheres:
        """All spheres: those of the links, then those of the hand."""
        return Spheres(
            torch.cat([self.links.frame, self.hand.frame]),
            torch.cat([self.links.centre, self.hand.centre]),
            torch.cat([self.links.radius, self.hand.radius]),
        )

    @cached_property
    def self_pairs(self) -> Int[Tensor, "pairs 2"]:
        """Pairs of spheres that must not overlap: their frames are at least two joints apart.

        Pairs that overlap in the home configuration are left out, because the spheres are larger
        than the links.
        """
        every, frame = self.spheres, self.spheres.frame
        first, second = torch.triu_indices(len(every), len(every), 1)
        apart = (frame[first] - frame[second]).abs() >= 2
        places = every.places(self.kinematics.frames(torch.tensor(self.home)))
        gap = (places[first] - places[second]).norm(dim=-1) - every.radius[first]
        clear = gap > every.radius[second]
        return torch.stack([first, second], dim=1)[apart & clear]

    def self_distances(
        self, places: Float[Tensor, "*batch spheres 3"]
    ) -> Float[Tensor, "*batch pairs"]:
        """Return the distances between the pairs of `self_pairs` in metres, negative in an overlap.

        Args:
            places: Centres of all spheres; see `Spheres.places`.
        """
        first, second = self.self_pairs.to(places.device).unbind(1)
        radius = self.spheres.radius.to(places)
        offset = places[..., first, :] - places[..., second, :]
        # The constant keeps the gradient finite where two centres coincide.
        return (offset.square().sum(dim=-1) + 1e-12).sqrt() - radius[first] - radius[second]


def checked_configuration(
    kinematics: Kinematics, q: Float[np.ndarray, " joints"], what: str
) -> Float[np.ndarray, " joints"]:
    """Check a configuration.

    Args:
        kinematics: Joints of the arm.
        q: Configuration in radians and metres.
        what: Name of the configuration in error messages.

    Raises:
        InputError: If the number of joints is wrong or a number is not finite or outside the
            limits.
    """
    if q.shape != (kinematics.joints,) or not np.isfinite(q).all():
        raise InputError(
            f"the configuration {what} must be {kinematics.joints} finite numbers, got {q.tolist()}"
        )
    lower, upper = kinematics.lower.numpy(), kinematics.upper.numpy()
    for name, value, low, high in zip(kinematics.names, q, lower, upper, strict=True):
        if not low <= value <= high:
            raise InputError(
                f"the joint {name} of the configuration {what} must be from {low:g} to {high:g}, "
                f"got {value:g}"
            )
    return q
