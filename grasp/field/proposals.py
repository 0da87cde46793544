"""Proposals: hand poses at opposite places of a surface, where sampling can begin.

A proposal picks two places of the surface that face away from each other and are less than the
stroke apart. It puts the open hand midway between them, with the pads parallel to the surface at
one of the places, at a random angle about the normal there, and at a random depth along the pads'
length. Poses where the open hand collides are rarely kept. Blurred by noise of a medium level,
proposals are close to the blurred grasps, and they cover the whole surface. From there a sampler
needs fewer steps than from pure noise, and it does not lose the places that the field disfavours at
high noise levels (Meng et al. 2022, "SDEdit").
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

CHOICES = 8
"""Number of random proposals from which each returned proposal is chosen."""

_FACING = 0.7  # cosine of the largest angle between one normal and the opposite of the other
_ASIDE = 0.005  # typical distance in metres of one place from the line along the other's normal
_MOST_ASIDE = 4.0  # largest such distance of opposite places, in multiples of _ASIDE
_COLLISION_COST = 10.0  # cost of a collision of the open hand, in nats


class Opposites(NamedTuple):
    """The pairs of opposite places on one object's surface.

    Attributes:
        points: Points on the surface, about its centre, in metres.
        normals: Outward unit normals at the points.
        likelihood: Unnormalised probability that each pair of points is chosen. If no two points
            are opposite and within the stroke, each point is paired with itself.
        exist: True if any two points are opposite and within the stroke.
    """

    points: Float[Tensor, "points 3"]
    normals: Float[Tensor, "points 3"]
    likelihood: Float[Tensor, "points points"]
    exist: bool


def opposites(surface: Surface, gripper: Gripper) -> Opposites:
    """Find the pairs of opposite places that a gripper can span.

    Args:
        surface: Surface of one object.
        gripper: The gripper, which gives the stroke.
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
    """Draw proposals for grasps, as poses of the gripper about the surface's centre.

    Each proposal is chosen from `CHOICES` random ones with probability proportional to exp(−cost).
    A collision of the open hand with the surface adds to the cost.

    Args:
        places: Opposite places on one object that the gripper can span.
        gripper: The gripper, which gives the pads.
        count: Number of proposals.
        generator: One generator, or one per proposal.
        cost: Function from poses about the centre (n, 4, 4) to their costs in nats (n,), softened
            for the noise that will be added to the proposals; None adds no cost.
    """
    at = places.points
    numbers = uniform((count, 3 * CHOICES + 1), generator, at.dtype, at.device)
    poses = _at(places, gripper, numbers[:, :-1].reshape(-1, 3))
    collides = in_collision(numpy_on_cpu(poses), gripper, numpy_on_cpu(at))
    costs = _COLLISION_COST * torch.as_tensor(collides).to(at)
    if cost is not None:
        costs = costs + cost(poses)
    likelihood = torch.softmax(-costs.view(count, CHOICES), dim=1)
    kept = (likelihood.cumsum(1) < numbers[:, -1:]).sum(1).clamp(max=CHOICES - 1)
    return poses.unflatten(0, (count, CHOICES))[torch.arange(count), kept]


def _at(
    places: Opposites, gripper: Gripper, numbers: Float[Tensor, "count 3"]
) -> Float[Tensor, "count 4 4"]:
    """Make one proposal per row of numbers in [0, 1), which choose the pair, angle and depth."""
    points, normals, likelihood, _ = places
    share = likelihood.flatten().double().cumsum(0)
    drawn = numbers[:, 0].double().contiguous()
    chosen = torch.searchsorted(share / share[-1], drawn).clamp(max=len(share) - 1)
    one, other = chosen // len(points), chosen % len(points)
    closing = normals[one]
    thickness = ((points[one] - points[other]) * closing).sum(1, keepdim=True)
    middle = points[one] - 0.5 * thickness * closing
    # Any direction orthogonal to the normal, from the axis that is farthest from it.
    axis = nn.functional.one_hot(closing.abs().argmin(1), 3).to(closing)
    across = nn.functional.normalize(torch.linalg.cross(closing, axis), dim=1)
    angle = 2 * math.pi * numbers[:, 1:2]
    approach = angle.cos() * across + angle.sin() * torch.linalg.cross(closing, across)
    begin, end = gripper.pad
    poses = torch.eye(4).to(points).repeat(len(numbers), 1, 1)
    poses[:, :3, :3] = torch.stack([closing, torch.linalg.cross(approach, closing), approach], -1)
    poses[:, :3, 3] = middle - (begin + (end - begin) * numbers[:, 2:3]) * approach
    return poses
