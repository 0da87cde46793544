"""Where sampling may begin in place of pure noise: the hand about two opposite places.

A proposal takes two places of the surface that face away from each other, within the stroke, and
puts the open hand in the middle between them: its pads parallel to the surface at one of them,
turned by a random angle about the normal there, and as deep as any of the pads' length, rather
where nothing is in the way. Blurred by noise of a middling level it is about where blurred grasps
are, and everywhere on the surface. From there a sampler needs fewer steps than from
pure noise, and it does not forget the places that a coarse field thinks less of (Meng et al. 2022,
"SDEdit").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.surface import Surface
from grasp.grippers.gripper import Gripper
from grasp.scenes.arrays import numpy_on_cpu
from grasp.scenes.collision import in_collision
from pcdiff.randomness import Generator, uniform

_FACING = 0.7  # cosine of the greatest angle between one normal and the opposite of the other
_ASIDE = 0.005  # metres, a typical distance of one place from the line along the other's normal
_MOST_ASIDE = 4.0  # times that; what is farther aside is not opposite
_CHOICE = 8  # proposals for each one that is kept
_IN_THE_WAY = 10.0  # nats that a collision of the open hand costs


class Opposites(NamedTuple):
    """The opposite places of one object's surface.

    Attributes:
        points: of the surface, about its centre, metres.
        normals: there, outward.
        likelihood: of each pair of them to be chosen. Where no two are opposite within the stroke,
            there is nothing to hold: each is its own opposite.
        exist: whether any two are.
    """

    points: Float[Tensor, "points 3"]
    normals: Float[Tensor, "points 3"]
    likelihood: Float[Tensor, "points points"]
    exist: bool


def opposites(surface: Surface, gripper: Gripper) -> Opposites:
    """The opposite places that a gripper spans.

    Args:
        surface: of one object.
        gripper: gives the stroke.
    """
    area = surface.values[0, :, :1]
    real = area[:, 0] > 0
    points, area, normals = surface.points[0, real], area[real], surface.values[0, real, 1:4]
    normals = normals / area
    offset = points[:, None] - points
    between = (offset * normals[:, None]).sum(-1)
    aside = offset.square().sum(-1) - between.square()
    opposite = (
        (between > 0)
        & (between < gripper.stroke)
        & (aside < (_MOST_ASIDE * _ASIDE) ** 2)
        & (normals @ normals.T < -_FACING)
    )
    pairs = opposite * area * area.T * torch.exp(-aside / (2 * _ASIDE**2))
    exist = bool((pairs > 0).any())
    return Opposites(points, normals, pairs if exist else area[:, 0].diag(), exist)


def propose(
    places: Opposites,
    gripper: Gripper,
    count: int,
    generator: Generator,
    cost: Callable[[Tensor], Tensor] | None = None,
) -> Float[Tensor, "count 4 4"]:
    """Proposals for grasps, about the surface's centre.

    Args:
        places: of one object, which the gripper spans.
        gripper: gives the pads.
        count: how many.
        generator: one generator, or one a proposal.
        cost: of poses about the centre, (n, 4, 4) to (n,), in nats, blurred as proposals will be.
            Of several proposals each time one is kept, with probability proportional to exp(−cost)
            and little if the open hand is in collision.
    """
    at = places.points
    numbers = uniform((count, 3 * _CHOICE + 1), generator, at.dtype, at.device)
    poses = _at(places, gripper, numbers[:, :-1].reshape(-1, 3))
    collides = in_collision(numpy_on_cpu(poses), gripper, numpy_on_cpu(at))
    costs = _IN_THE_WAY * torch.as_tensor(collides).to(at)
    if cost is not None:
        costs = costs + cost(poses)
    likelihood = torch.softmax(-costs.view(count, _CHOICE), dim=1)
    kept = (likelihood.cumsum(1) < numbers[:, -1:]).sum(1).clamp(max=_CHOICE - 1)
    return poses.unflatten(0, (count, _CHOICE))[torch.arange(count), kept]


def _at(
    places: Opposites, gripper: Gripper, numbers: Float[Tensor, "count 3"]
) -> Float[Tensor, "count 4 4"]:
    """The proposals that numbers in [0, 1) stand for: pair, angle and depth."""
    points, normals, likelihood, _ = places
    share = likelihood.flatten().double().cumsum(0)
    drawn = numbers[:, 0].double().contiguous()
    chosen = torch.searchsorted(share / share[-1], drawn).clamp(max=len(share) - 1)
    one, other = chosen // len(points), chosen % len(points)
    closing = normals[one]
    thickness = ((points[one] - points[other]) * closing).sum(1, keepdim=True)
    middle = points[one] - 0.5 * thickness * closing
    # Any direction across the normal: the axis that is farthest from it, made orthogonal.
    axis = nn.functional.one_hot(closing.abs().argmin(1), 3).to(closing)
    across = nn.functional.normalize(torch.linalg.cross(closing, axis), dim=1)
    angle = 2 * math.pi * numbers[:, 1:2]
    approach = angle.cos() * across + angle.sin() * torch.linalg.cross(closing, across)
    begin, end = gripper.pad
    poses = torch.eye(4).to(points).repeat(len(numbers), 1, 1)
    poses[:, :3, :3] = torch.stack([closing, torch.linalg.cross(approach, closing), approach], -1)
    poses[:, :3, 3] = middle - (begin + (end - begin) * numbers[:, 2:3]) * approach
    return poses
