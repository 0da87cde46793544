"""Where sampling may begin in place of pure noise: the hand at the object's surface.

A proposal puts one pad flat on a random place of the surface, the hand turned by a random angle
about the normal there and opened by a random width. It knows nothing of the other side and may be
deep inside the object, but blurred by noise of a middling level it is about where blurred grasps
are, and everywhere on the surface. From there a sampler needs fewer steps than from pure noise, and
it does not forget the places that a coarse field thinks less of (Meng et al. 2022, "SDEdit").
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.gripper import Gripper
from grasp.networks.surface import Surface
from pcdiff.randomness import Generator, uniform

_CHOICE = 8  # proposals for each one that is kept, where a cost chooses


def propose(
    surface: Surface,
    gripper: Gripper,
    count: int,
    generator: Generator,
    cost: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "count 4 4"]:
    """Proposals for grasps, about the surface's centre.

    Args:
        surface: of one object.
        gripper: gives the stroke and the pads.
        count: how many.
        generator: one generator, or one a proposal.
        cost: of poses about the centre, (n, 4, 4) to (n,). Of several proposals each time one is
            kept, with probability proportional to exp(−cost). It is blurred as proposals will be.
    """
    choice = 1 if cost is None else _CHOICE
    at = surface.points
    numbers = uniform((count, 4 * choice + 1), generator, at.dtype, at.device)
    poses = _at(surface, gripper, numbers[:, :-1].reshape(-1, 4)).unflatten(0, (count, choice))
    if cost is None:
        return poses[:, 0]
    likelihood = torch.softmax(-cost(poses.flatten(0, 1)).view(count, choice), dim=1)
    kept = (likelihood.cumsum(1) < numbers[:, -1:]).sum(1).clamp(max=choice - 1)
    return poses[torch.arange(count), kept]


def _at(
    surface: Surface, gripper: Gripper, numbers: Float[Tensor, "count 4"]
) -> Float[Tensor, "count 4 4"]:
    """The proposals that numbers in [0, 1) stand for: place, angle, width and depth."""
    share = surface.values[0, :, 0].cumsum(0)
    place = torch.searchsorted(share / share[-1], numbers[:, 0].contiguous()).clamp(
        max=len(share) - 1
    )
    at, area, normal = (
        surface.points[0, place], surface.values[0, place, :1], surface.values[0, place, 1:4],
    )  # fmt: skip
    closing = normal / area
    # Any direction across the normal: the axis that is farthest from it, made orthogonal.
    axis = torch.nn.functional.one_hot(closing.abs().argmin(1), 3).to(closing)
    across = torch.nn.functional.normalize(torch.linalg.cross(closing, axis), dim=1)
    angle = 2 * math.pi * numbers[:, 1:2]
    approach = angle.cos() * across + angle.sin() * torch.linalg.cross(closing, across)
    begin, end = gripper.pad
    poses = torch.eye(4).to(at).repeat(len(numbers), 1, 1)
    poses[:, :3, :3] = torch.stack([closing, torch.linalg.cross(approach, closing), approach], -1)
    poses[:, :3, 3] = (
        at
        - 0.5 * gripper.stroke * numbers[:, 2:3] * closing
        - (begin + (end - begin) * numbers[:, 3:4]) * approach
    )
    return poses
