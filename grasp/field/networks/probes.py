"""Probes: places on and around a gripper, near which a network measures the object's surface.

The probes move with the gripper. Every parallel jaw has the same list of probes, such as a corner
of a pad, a fingertip or the palm. The description of the gripper determines the place of each
probe. So the measurements reflect the dimensions of the gripper, and one set of weights works for
all parallel jaws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from grasp.grippers.gripper import Gripper
from pcdiff.errors import InputError

FINE, ALL = 43, 62
"""Numbers of probes. The first 43 probes are at the pads and fingers and measure the fine points of
a surface. All 62 probes measure the coarse points."""

FEW_FINE = (
    *(0, 2, 4, 6, 8, 16, 18, 20, 22, 24),  # corners and centres of the pads
    *(9, 10, 12, 13, 14, 15, 25, 26, 28, 29, 30, 31),  # tips, roots and backs of the fingers
    *(32, 33, 34, 35, 36, 38, 39, 41, 42),  # between the fingers
)
FEW_COARSE = (
    *(4, 13, 14, 20, 29, 30, 32, 34, 36),  # pads and fingers
    *(43, 44, 45, 46, 47, 48),  # ahead of the fingers and beside the fingers
    *(49, 50, 53, 54, 57, 58, 59, 60, 61),  # the palm and the base
)
"""Indices of the most informative probes, for a network that is evaluated often. The choice is
symmetric: the same probes are selected on both fingers."""

DIMENSIONS = 6
"""Number of dimensions that describe a gripper; see `Probes`."""


class Probes(NamedTuple):
    """The probes of one or several grippers.

    Attributes:
        places: Places of the probes in the gripper's frame, in metres. The probes for the fine
            points of a surface come first.
        widths: Kernel width h of each probe without noise, in metres.
        dimensions: Dimensions of the gripper in decimetres: stroke, finger width, finger depth,
            finger length, length of the pads, and distance of the tool centre point from the base.
    """

    places: Float[Tensor, "grippers probes 3"]
    widths: Float[Tensor, "grippers probes"]
    dimensions: Float[Tensor, "grippers dimensions"]

    def to(self, *where: Any) -> Probes:
        """Move the probes to another device, or convert them to another data type."""
        return Probes(*(each.to(*where) for each in self))

    def split(self) -> list[Probes]:
        """Split the probes of several grippers into a list of probes, one entry per gripper."""
        return [Probes(*each) for each in zip(*(part.split(1) for part in self), strict=True)]

    @classmethod
    def stack(cls, several: Sequence[Probes]) -> Probes:
        """Combine the probes of single grippers into the probes of several grippers."""
        return cls(*(torch.cat(each) for each in zip(*several, strict=True)))


# Kernel widths in metres by the location of the probes. A kernel width is approximately half the
# distance between neighbouring probes.
_PAD, _FINGER, _BETWEEN, _AHEAD, _ASIDE, _PALM, _BODY = (
    0.006, 0.007, 0.008, 0.012, 0.012, 0.013, 0.03,
)  # fmt: skip

_ON_AXIS = 0.001  # largest distance in metres from the z axis of a point that counts as on it


def probes(gripper: Gripper) -> Probes:
    """Return the probes of a gripper with open fingers.

    Args:
        gripper: A parallel jaw. The pads must be centred on the z axis, and the tool centre point
            must be on the z axis between the pads.

    Raises:
        InputError: If the pads or the tool centre point are more than 1 mm from the z axis, or the
            tool centre point is not between the pads.
    """
    pad_y = [box.centre[1] for box in gripper.finger_boxes]
    tool = gripper.tool_center_point
    beside = np.abs([*tool[:2], (min(pad_y) + max(pad_y)) / 2]).max()
    if beside > _ON_AXIS or not gripper.pad[0] <= tool[2] <= gripper.pad[1]:
        raise InputError(
            "a gripper of a grasp field must have pads centred on its z axis and a tool centre "
            f"point on the z axis from z = {gripper.pad[0]:g} m to {gripper.pad[1]:g} m, between "
            f"the pads; got {gripper.name} with the tool centre point at "
            f"{np.round(tool, 4).tolist()} m and the fingers at y = {min(pad_y):g} m"
        )
    begin, end = gripper.pad
    root = min(float(box.centre[2] - box.half_extents[2]) for box in gripper.finger_boxes)
    tip = max(float(box.centre[2] + box.half_extents[2]) for box in gripper.finger_boxes)
    sides = [np.abs(box.centre) + box.half_extents for box in gripper.hand_boxes]
    palm = max(float(box.centre[2] + box.half_extents[2]) for box in gripper.hand_boxes)
    reach_x, reach_y, _ = (float(side) for side in np.max(sides, axis=0))
    found = _places(
        (gripper.stroke / 2, gripper.finger_depth, gripper.finger_width / 2),
        (root, begin, end, tip),
        (reach_x, reach_y, palm),
    )
    dimensions = [
        gripper.stroke, gripper.finger_width, gripper.finger_depth, gripper.finger_length,
        end - begin, float(gripper.tool_center_point[2]),
    ]  # fmt: skip
    table = torch.from_numpy(found).float()[None]
    return Probes(
        table[..., :3], table[..., 3], torch.tensor([dimensions], dtype=torch.float32) / 0.1
    )


def half_turned(chosen: Sequence[int]) -> list[int]:
    """Return where each probe of a choice goes under a half turn of the gripper about its approach.

    Args:
        chosen: Indices of probes. If the list contains a probe, it contains its partner at the
            place (−x, −y, z).

    Returns:
        For each probe of the choice, the position of its partner in the choice.
    """
    # The partners are the same for all grippers, so the lengths are arbitrary and all different.
    table = _places((0.04, 0.013, 0.0071), (0.06, 0.09, 0.11, 0.12), (0.1, 0.03, 0.05))
    there = table[list(chosen)]
    partners = []
    for x, y, z, width in there:
        apart = np.abs(there - (-x, -y, z, width)).max(axis=1)
        partners.append(int(apart.argmin()))
        assert apart[partners[-1]] < 1e-9, "a choice of probes must contain their partners"
    return partners


def _places(
    closing: tuple[float, float, float],
    along: tuple[float, float, float, float],
    hand: tuple[float, float, float],
) -> Float[np.ndarray, "probes 4"]:
    """Return the place and the kernel width of each probe, in metres.

    Args:
        closing: Half of the stroke, depth of a finger, and half of the width of a finger.
        along: z of the root of the fingers, of the start and the end of the pads, and of the tips.
        hand: Reach of the hand along x and along y, and z of the palm.
    """
    (half, depth, width), (root, begin, end, tip), (reach_x, reach_y, palm) = closing, along, hand
    middle, above = (begin + end) / 2, (root + begin) / 2
    found: list[Any] = []
    for side in (1, -1):
        pad, inside, outside = (side * (half + beyond) for beyond in (0, depth / 2, depth))
        found += [(pad, y, z, _PAD) for z in (begin, middle, end) for y in (-width, 0, width)]
        found += [(inside, y, tip, _FINGER) for y in (-width, width)]
        found += [(inside, 0, z, _FINGER) for z in (middle, above, root)]
        found += [(outside, 0, z, _FINGER) for z in (tip, (root + tip) / 2)]
    found += [(0, 0, z, _BETWEEN) for z in (root, above, begin, middle, end)]
    found += [(x, 0, z, _BETWEEN) for x in (-half / 2, half / 2) for z in (begin, middle, end)]
    assert len(found) == FINE
    found += [(0, 0, tip + _AHEAD, _AHEAD), (0, 0, tip + 3 * _AHEAD, _AHEAD)]
    found += [(0, side * 2.5 * width, z, _ASIDE) for side in (-1, 1) for z in (middle, root)]
    found += [
        (x * reach_x, y * reach_y, palm, _PALM) for x in (-1, -0.5, 0, 0.5, 1) for y in (-1, 1)
    ]
    found += [(x * reach_x, 0, 0, _BODY) for x in (-1, 0, 1)]
    assert len(found) == ALL
    return np.array(found, dtype=np.float64)
