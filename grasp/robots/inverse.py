"""Inverse kinematics: configurations that put the gripper at given poses.

The analytic solution of the Franka arm comes from the package `frankik`, if it is installed. Any
arm can be solved by damped Gauss-Newton steps from random configurations,

    q ← clamp(q + Jᵀ(JJᵀ + λI)⁻¹ r),    r = local(H(q), target) in units of ℓ metres and radians,

with λ = DAMPING · ½|r|² + 10⁻⁹, which vanishes at a solution (Chan and Lawrence 1988, "General
inverse kinematics with the error damped pseudoinverse"; Sugihara 2011, "Solvability-unconcerned
inverse kinematics by the Levenberg-Marquardt method").
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp.poses.frames import FLANGE_OFFSET
from pcdiff.errors import InputError
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import Generator, uniform

if TYPE_CHECKING:
    from grasp.robots.arm import Arm

DAMPING = 0.1
STEPS = 40

DISTANCE, ANGLE = 1e-4, 1e-3
"""Largest errors of a solution, in metres and radians."""

_SPACE = SE3(0.1)


@dataclass(frozen=True, eq=False)
class Solutions:
    """Configurations for a number of poses.

    Attributes:
        q: Configurations; those that were not found are NaN.
        found: True for each configuration that reaches its pose within `DISTANCE` and `ANGLE` and
            lies within the joints' limits.
    """

    q: Float[Tensor, "poses tries joints"]
    found: Bool[Tensor, "poses tries"]


def inverse_kinematics(
    arm: Arm,
    poses: Float[Tensor, "poses 4 4"],
    generator: Generator,
    tries: int = 16,
    analytic: bool | None = None,
) -> Solutions:
    """Find configurations in which the gripper has given poses.

    Args:
        arm: The arm.
        poses: Poses `T_root_grasp` in metres.
        generator: Source of randomness: each try begins at a random configuration, or takes a
            random value of the redundant joint.
        tries: Number of tries per pose.
        analytic: True for the analytic solution, false for Gauss-Newton steps. None takes the
            analytic one if the arm has one and `frankik` is installed.

    Raises:
        InputError: If an analytic solution is asked for, but the arm has none or `frankik` is not
            installed; or `tries` is below 1.
    """
    if tries < 1:
        raise InputError(f"the number of tries must be at least 1, got {tries}")
    installed = importlib.util.find_spec("frankik") is not None
    if analytic is None:
        analytic = arm.analytic is not None and installed
    if not analytic:
        return _iterated(arm, poses, generator, tries)
    if arm.analytic is None:
        raise InputError(f"the arm {arm.name} has no analytic inverse kinematics")
    if not installed:
        raise InputError('analytic inverse kinematics needs: pip install "pcdiff-grasp[planning]"')
    return _analytic(arm, poses, generator, tries)


def _analytic(arm: Arm, poses: Tensor, generator: Generator, tries: int) -> Solutions:
    """Take a random one of up to four solutions for random values of the last joint."""
    import frankik

    # The package takes poses of the flange, `panda_link8`.
    T_last_flange = np.eye(4)
    T_last_flange[2, 3] = FLANGE_OFFSET
    T_last_grasp = arm.kinematics.T_last_tip.numpy() @ arm.T_tip_grasp
    targets = poses.double().cpu().numpy() @ np.linalg.inv(T_last_grasp) @ T_last_flange
    lower, upper = (float(limit[-1]) for limit in (arm.kinematics.lower, arm.kinematics.upper))
    share = uniform((len(poses), tries, 2), generator).double().numpy()
    q = np.full((len(poses), tries, arm.joints), np.nan)
    for pose, target in enumerate(targets):
        for one in range(tries):
            turn = lower + share[pose, one, 0] * (upper - lower)
            several = frankik.ik_full(target, q7=turn)
            several = several[np.isfinite(several).all(axis=1)]
            if len(several):
                q[pose, one] = several[int(share[pose, one, 1] * len(several))]
    return _checked(arm, torch.tensor(q), poses)


def _iterated(arm: Arm, poses: Tensor, generator: Generator, tries: int) -> Solutions:
    count = len(poses)
    q = arm.kinematics.random(count * tries, generator).view(count, tries, arm.joints)
    target = poses.to(q)[:, None]
    for _ in range(STEPS):
        now, jacobian = arm.grasp_jacobian(q)
        error = _SPACE.to_unit(_SPACE.local(now, target.expand_as(now)))
        scaled = torch.cat([jacobian[..., :3, :] / _SPACE.length, jacobian[..., 3:, :]], dim=-2)
        damping = DAMPING * error.square().sum(-1, keepdim=True)[..., None] / 2 + 1e-9
        square = scaled @ scaled.mT + damping * torch.eye(6).to(q)
        q = arm.clamped(q + (scaled.mT @ torch.linalg.solve(square, error[..., None]))[..., 0])
    return _checked(arm, q, poses)


def _checked(arm: Arm, q: Tensor, poses: Tensor) -> Solutions:
    target = poses.to(q)[:, None].expand(*q.shape[:2], 4, 4)
    error = _SPACE.local(arm.grasp_poses(q.nan_to_num()), target)
    near = (error[..., :3].norm(dim=-1) <= DISTANCE) & (error[..., 3:].norm(dim=-1) <= ANGLE)
    found = near & arm.within_limits(q)  # NaN is not within limits
    return Solutions(q.where(found[..., None], torch.nan), found)
