"""Proposals: poses of the hand at opposite places of a surface, from which sampling can begin.

A pair of opposite places consists of two surface points that have opposite surface normals and are
closer together than the stroke. A proposal puts the open hand midway between the two points, with
the pads parallel to the surface at the first point. The angle around the surface normal and the
depth along the pads are random. Poses with a collision of the open hand are rarely selected.

Proposals cover the whole surface. With noise of a medium level, proposals are distributed almost
like grasps with noise of the same level. A sampler that begins with proposals needs fewer steps
than a sampler that begins with pure noise. It also reaches places with a high energy at high noise
levels, which a sampler from pure noise would miss (Meng et al. 2022, "SDEdit").
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

_FACING = 0.7  # cosine of the largest angle between one normal and the reversed other normal
_ASIDE = 0.005  # typical distance in metres from one place to the other place's normal line
_MOST_ASIDE = 4.0  # largest distance from a place to the normal line, in multiples of _ASIDE
_COLLISION_COST = 10.0  # cost of a collision of the open hand, in nats


class Opposites(NamedTuple):
    """The pairs of opposite places on one object's surface.

    Attributes:
        points: Points on the surface relative to the surface's centre, in metres.
        normals: Outward unit surface normals at the points.
        likelihood: Unnormalised probability of choosing each pair of points. If the surface has no
            pair of opposite places within the stroke, each point is paired with itself.
        exist: True if the surface has a pair of opposite places within the stroke.
    """

    points: Float[Tensor, "points 3"]
    normals: Float[Tensor, "points 3"]
    likelihood: Float[Tensor, "points points"]
    exist: bool


def opposites(surface: Surface, gripper: Gripper) -> Opposites:
    """Find the pairs of opposite places on a surface that are within the stroke of a gripper.

    Args:
        surface: Surface of one object.
        gripper: Gripper, of which only the stroke is used.
    """
    area = surface.values[0, :, :1]
    real = area[:, 0] > 0
    points, area, normals = surface.points[0, real], area[real], surface.values[0, real, 1:4]
    normals = nn.functional.normalize(normals, dim=1)
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
    """Draw proposals, which are poses of the gripper relative to the surface's centre, in metres.

    Each proposal is chosen from `CHOICES` random proposals with a probability proportional to
    exp(−cost). A collision of the open hand with the surface increases the cost.

    Args:
        places: Pairs of opposite places on one object within the stroke of the gripper.
        gripper: Gripper of the poses.
        count: Number of proposals.
        generator: One generator for all proposals, or one generator per proposal.
        cost: Function from poses (n, 4, 4) relative to the surface's centre to costs (n,) in nats.
            The costs must be softened for the noise that will be added to the proposals. None adds
            no cost.
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
    """Return one proposal per row of random numbers in [0, 1).

    The three numbers of a row select the pair of places, the angle and the depth.
    """
    points, normals, likelihood, _ = places
    share = likelihood.flatten().double().cumsum(0)
    drawn = numbers[:, 0].double().contiguous()
    chosen = torch.searchsorted(share / share[-1], drawn).clamp(max=len(share) - 1)
    one, other = chosen // len(points), chosen % len(points)
    closing = normals[one]
    thickness = ((points[one] - points[other]) * closing).sum(1, keepdim=True)
    middle = points[one] - 0.5 * thickness * closing
    # The direction `across` is orthogonal to the surface normal. It is computed from the coordinate
    # axis with the largest angle to the normal.
    axis = nn.functional.one_hot(closing.abs().argmin(1), 3).to(closing)
    across = nn.functional.normalize(torch.linalg.cross(closing, axis), dim=1)
    angle = 2 * math.pi * numbers[:, 1:2]
    approach = angle.cos() * across + angle.sin() * torch.linalg.cross(closing, across)
    begin, end = gripper.pad
    poses = torch.eye(4).to(points).repeat(len(numbers), 1, 1)
    poses[:, :3, :3] = torch.stack([closing, torch.linalg.cross(approach, closing), approach], -1)
    poses[:, :3, 3] = middle - (begin + (end - begin) * numbers[:, 2:3]) * approach
    return poses
