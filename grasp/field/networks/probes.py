"""Probes: places fixed to a gripper, from which a network looks at the object's surface.

Each role (a corner of a pad, a fingertip, the palm, …) is one probe of every parallel jaw, placed
by the gripper's own description. So a network that sees the surface from the probes sees the
gripper's dimensions, and one set of weights serves all parallel jaws.
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
"""How many probes see the fine level of a surface: those where pads and fingers are. All see the
coarse one."""

FEW_FINE = (
    *(0, 2, 4, 6, 8, 16, 18, 20, 22, 24),  # corners and centres of the pads
    *(9, 10, 12, 13, 14, 15, 25, 26, 28, 29, 30, 31),  # tips, roots and backs of the fingers
    *(32, 33, 34, 35, 36, 38, 39, 41, 42),  # between the fingers
)
FEW_COARSE = (
    *(4, 13, 14, 20, 29, 30, 32, 34, 36),  # where pads and fingers are
    *(43, 44, 45, 46, 47, 48),  # ahead and beside
    *(49, 50, 53, 54, 57, 58, 59, 60, 61),  # the palm and the base
)
"""Probes that tell most, on both sides alike, for a network that is asked often."""

DIMENSIONS = 6


class Probes(NamedTuple):
    """Of one gripper, or of several.

    Attributes:
        places: in the gripper's frame, metres; those that see the fine level first.
        widths: how far each one looks: the width h of its kernel without noise, metres.
        dimensions: of the gripper, decimetres: stroke, finger width, depth and length, length of
            the pads, and the tool centre point's distance from the base.
    """

    places: Float[Tensor, "grippers probes 3"]
    widths: Float[Tensor, "grippers probes"]
    dimensions: Float[Tensor, "grippers dimensions"]

    def to(self, *where: Any) -> Probes:
        """The probes on another device or in another type."""
        return Probes(*(each.to(*where) for each in self))

    def split(self) -> list[Probes]:
        """The probes of each gripper."""
        return [Probes(*each) for each in zip(*(part.split(1) for part in self), strict=True)]

    @classmethod
    def stack(cls, several: Sequence[Probes]) -> Probes:
        """The probes of several grippers, from those of each."""
        return cls(*(torch.cat(each) for each in zip(*several, strict=True)))


# Widths by role, metres: about half the distance to the next probe of the role.
_PAD, _FINGER, _BETWEEN, _AHEAD, _ASIDE, _PALM, _BODY = (
    0.006, 0.007, 0.008, 0.012, 0.012, 0.013, 0.03,
)  # fmt: skip


_ON_AXIS = 0.001  # metres: what is as near to the axis is on it


def probes(gripper: Gripper) -> Probes:
    """The probes of a gripper, wide open.

    Args:
        gripper: any parallel jaw whose pads and tool centre point are about its z axis.

    Raises:
        InputError: they are beside it, or the tool centre point is not between the pads.
    """
    pad_y = [box.centre[1] for box in gripper.finger_boxes]
    tool = gripper.tool_center_point
    beside = np.abs([*tool[:2], (min(pad_y) + max(pad_y)) / 2]).max()
    if beside > _ON_AXIS or not gripper.pad[0] <= tool[2] <= gripper.pad[1]:
        raise InputError(
            f"a grasp field needs the pads about the gripper's z axis and the tool centre point on "
            f"it between them, from z = {gripper.pad[0]:g} to {gripper.pad[1]:g} m, but of "
            f"{gripper.name} that is at {np.round(tool, 4).tolist()} and the fingers are at y = "
            f"{min(pad_y):g} m"
        )
    half = gripper.stroke / 2
    begin, end = gripper.pad
    middle = (begin + end) / 2
    root = min(box.centre[2] - box.half_extents[2] for box in gripper.finger_boxes)
    tip = max(box.centre[2] + box.half_extents[2] for box in gripper.finger_boxes)
    depth, width = gripper.finger_depth, gripper.finger_width / 2
    above = (root + begin) / 2
    found: list[tuple[float, float, float, float]] = []
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
    sides = [np.abs(box.centre) + box.half_extents for box in gripper.hand_boxes]
    reach_x, reach_y, _ = np.max(sides, axis=0)
    palm = max(box.centre[2] + box.half_extents[2] for box in gripper.hand_boxes)
    found += [
        (x * reach_x, y * reach_y, palm, _PALM) for x in (-1, -0.5, 0, 0.5, 1) for y in (-1, 1)
    ]
    found += [(x * reach_x, 0, 0, _BODY) for x in (-1, 0, 1)]
    assert len(found) == ALL
    dimensions = [
        gripper.stroke, gripper.finger_width, gripper.finger_depth, gripper.finger_length,
        end - begin, float(gripper.tool_center_point[2]),
    ]  # fmt: skip
    table = torch.tensor([found], dtype=torch.float32)
    return Probes(
        table[..., :3], table[..., 3], torch.tensor([dimensions], dtype=torch.float32) / 0.1
    )
