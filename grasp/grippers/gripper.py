"""Parallel-jaw grippers: one frozen description, read from a file that a user can write.

The frame of a gripper has its origin at the base of the hand, +z along the approach and +x along
the closing direction. The fingers are mirror images in x, and each moves by half the opening.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from grasp.digest import digest
from grasp.documents import kind_of
from pcdiff.errors import InputError

SHIPPED = Path(__file__).parent

_KEYS = {
    "name", "stroke", "max_force", "mass", "tool_center_point", "control_points", "hand", "finger",
}  # fmt: skip
_FINGER_KEYS = {"pad", "boxes"}
_BOX_KEYS = {"centre", "half_extents"}

# The name enters the names of files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

MAXIMUM_LENGTH = 2.0
"""Metres. A gripper with a longer dimension is taken for one in another unit."""


@dataclass(frozen=True, eq=False)
class Box:
    """A box with its sides along the axes of its frame.

    Args:
        centre: (3,), metres.
        half_extents: (3,), half of the side lengths, metres.
    """

    centre: Float[np.ndarray, "3"]
    half_extents: Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Gripper:
    """A parallel jaw in its base frame: +z is the approach, +x the closing direction.

    Args:
        name: What grasp files call it: letters, digits, `.`, `_` and `-`.
        stroke: The largest opening between the pads, metres.
        max_force: The largest force of the fingers on an object between them, newtons.
        mass: Of the whole gripper, kilograms.
        tool_center_point: (3,), the point between the pads that a grasp is about, metres.
        control_points: (points, 3), points that stand for the open gripper in networks and
            distances, metres.
        hand_boxes: What does not move.
        finger_boxes: The finger on the +x side of the closed gripper, whose pad touches x = 0.
        pad: Where the pads begin and end along z, metres.
    """

    name: str
    stroke: float
    max_force: float
    mass: float
    tool_center_point: Float[np.ndarray, "3"]
    control_points: Float[np.ndarray, "points 3"]
    hand_boxes: tuple[Box, ...]
    finger_boxes: tuple[Box, ...]
    pad: tuple[float, float]

    @cached_property
    def sha256(self) -> str:
        """The digest of the description."""
        return digest(asdict(self))

    @cached_property
    def _finger_bounds(self) -> Float[np.ndarray, "2 3"]:
        lower = np.min([box.centre - box.half_extents for box in self.finger_boxes], axis=0)
        upper = np.max([box.centre + box.half_extents for box in self.finger_boxes], axis=0)
        return np.stack([lower, upper])

    @property
    def finger_length(self) -> float:
        """Of one finger along the approach (z), metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 2])

    @property
    def finger_width(self) -> float:
        """Of one finger across the approach and the closing direction (y), metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 1])

    @property
    def finger_depth(self) -> float:
        """Of one finger along the closing direction (x), metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 0])

    def check_width(self, width: float) -> None:
        """Raise unless the gripper opens that wide.

        Args:
            width: The opening between the pads, metres.

        Raises:
            InputError: It is not within 0 and `stroke`.
        """
        if not 0 <= width <= self.stroke * (1 + 1e-9):
            raise InputError(
                f"{self.name} opens from 0 to {self.stroke} m, got an opening of {width} m"
            )

    def fingers(self, width: float) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """The boxes of the finger at +x and of the one at -x.

        Args:
            width: The opening between the pads, 0 to `stroke`, metres.
        """
        mirror = np.array([-1.0, 1.0, 1.0])
        half = np.array([width / 2, 0.0, 0.0])
        right = tuple(Box(box.centre + half, box.half_extents) for box in self.finger_boxes)
        return right, tuple(Box(box.centre * mirror, box.half_extents) for box in right)

    def boxes(self, width: float) -> tuple[Box, ...]:
        """All boxes of the gripper at an opening: the hand, the finger at +x, the one at -x.

        Args:
            width: The opening between the pads, 0 to `stroke`, metres.

        Raises:
            InputError: The opening is outside.
        """
        self.check_width(width)
        right, left = self.fingers(width)
        return (*self.hand_boxes, *right, *left)

    def mesh(
        self, width: float
    ) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """The boxes at an opening as one triangle mesh, for pictures.

        Args:
            width: The opening between the pads, 0 to `stroke`, metres.
        """
        return box_mesh(self.boxes(width))


def box_mesh(
    boxes: Sequence[Box],
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Boxes as one triangle mesh; faces are counter-clockwise from outside.

    Args:
        boxes: At least one.
    """
    vertices = [box.centre + _CORNERS * box.half_extents for box in boxes]
    faces = [_FACES + len(_CORNERS) * index for index in range(len(boxes))]
    return np.concatenate(vertices), np.concatenate(faces)


def load_gripper(name_or_path: str | os.PathLike[str]) -> Gripper:
    """Read a gripper: a shipped one by its name, any other from its TOML file.

    The shipped files in `grasp/grippers` say what each entry means and serve as a pattern.

    Args:
        name_or_path: `panda`, `robotiq_2f_85`, `robotiq_2f_140`, or a path that ends in `.toml`.

    Raises:
        InputError: There is no such gripper, or an entry of the file is missing, unknown or wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        shipped = sorted(file.stem for file in SHIPPED.glob("*.toml"))
        if str(name_or_path) not in shipped:
            raise InputError(
                f"there is no gripper {str(name_or_path)!r}: give one of {', '.join(shipped)} or "
                "a .toml file"
            )
        path = SHIPPED / f"{name_or_path}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the gripper file {path}: it is not UTF-8 text") from error
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot read the gripper file {path}: {reason}") from error
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the gripper file {path} is not TOML: {error}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InputError(f"the gripper file {path} has an unreadable value: {error}") from error
    except RecursionError as error:
        raise InputError(f"the gripper file {path} has values that are nested too deep") from error
    return _gripper(entries, f"the gripper file {path}")


def _gripper(entries: dict[str, Any], source: str) -> Gripper:
    _check_keys(entries, _KEYS, source)
    name = entries["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{source}: name must be a text of at most 64 letters, digits, '.', '_' and '-', the "
            f"first a letter or digit, got {kind_of(name)}"
        )
    finger = entries["finger"]
    if not isinstance(finger, dict):
        raise InputError(f"{source}: finger must be a table, got {kind_of(finger)}")
    _check_keys(finger, _FINGER_KEYS, f"{source}: finger")
    finger_boxes = _boxes(finger["boxes"], f"{source}: finger.boxes")
    begin, end = (float(z) for z in _array(finger["pad"], (2,), f"{source}: finger.pad"))
    if not begin < end:
        raise InputError(f"{source}: finger.pad must begin before it ends, got [{begin}, {end}]")
    inside = min(float(box.centre[0] - box.half_extents[0]) for box in finger_boxes)
    if abs(inside) > 1e-6:
        raise InputError(
            f"{source}: the finger's boxes must begin at x = 0, where the closed pads meet, "
            f"not at {inside:g} m"
        )
    touching = [box for box in finger_boxes if box.centre[0] - box.half_extents[0] < 1e-6]
    low = min(float(box.centre[2] - box.half_extents[2]) for box in touching)
    high = max(float(box.centre[2] + box.half_extents[2]) for box in touching)
    if begin < low - 1e-6 or end > high + 1e-6:
        raise InputError(
            f"{source}: finger.pad must lie on the boxes that begin at x = 0, which reach from "
            f"z = {low:g} to {high:g} m, got [{begin:g}, {end:g}]"
        )
    return Gripper(
        name=name,
        stroke=_positive(entries["stroke"], f"{source}: stroke", MAXIMUM_LENGTH, "metres"),
        max_force=_positive(entries["max_force"], f"{source}: max_force", 1e5, "newtons"),
        mass=_positive(entries["mass"], f"{source}: mass", 1e3, "kilograms"),
        tool_center_point=_array(
            entries["tool_center_point"], (3,), f"{source}: tool_center_point"
        ),
        control_points=_array(
            entries["control_points"], (None, 3), f"{source}: control_points"
        ),
        hand_boxes=_boxes(entries["hand"], f"{source}: hand"),
        finger_boxes=finger_boxes,
        pad=(begin, end),
    )  # fmt: skip


def _check_keys(entries: dict[str, Any], expected: set[str], source: str) -> None:
    missing, unknown = sorted(expected - entries.keys()), sorted(entries.keys() - expected)
    if missing:
        raise InputError(f"{source} lacks {', '.join(missing)}")
    if unknown:
        raise InputError(
            f"{source} has the unknown {', '.join(unknown)}, expected {', '.join(sorted(expected))}"
        )


def _positive(value: Any, what: str, largest: float, unit: str) -> float:
    if not (_is_number(value) and 0 < value <= largest):  # NaN is not
        raise InputError(
            f"{what} must be above 0 and at most {largest:g} {unit}, got {kind_of(value)}"
        )
    return float(value)


def _array(value: Any, shape: tuple[int | None, ...], what: str) -> np.ndarray:
    """A read-only float64 array of lengths in metres; None in the shape is any length above 0."""
    wanted = " x ".join("n" if size is None else str(size) for size in shape)
    if not _is_array(value, shape):
        raise InputError(f"{what} must be {wanted} numbers, got {_shown(value)}")
    if not _is_within(value, MAXIMUM_LENGTH):
        raise InputError(
            f"{what} must be finite and within {MAXIMUM_LENGTH:g} metres, got {_shown(value)}"
        )
    array = np.array(value, dtype=np.float64)
    array.flags.writeable = False
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_array(value: Any, shape: tuple[int | None, ...]) -> bool:
    if not shape:
        return _is_number(value)
    fits = isinstance(value, list) and len(value) > 0 and shape[0] in (None, len(value))
    return fits and all(_is_array(entry, shape[1:]) for entry in value)


def _is_within(value: Any, largest: float) -> bool:
    """Before it becomes an array, as integers may be beyond float64."""
    if isinstance(value, list):
        return all(_is_within(entry, largest) for entry in value)
    return -largest <= value <= largest  # NaN is not


def _shown(value: Any) -> str:
    if isinstance(value, list) and 0 < len(value) <= 3:
        return f"[{', '.join(map(kind_of, value))}]"
    return kind_of(value)


def _boxes(value: Any, what: str) -> tuple[Box, ...]:
    tables = isinstance(value, list) and value and all(isinstance(box, dict) for box in value)
    if not tables:
        raise InputError(f"{what} must be a list of boxes, got {kind_of(value)}")
    boxes = []
    for index, entries in enumerate(value):
        which = f"{what}[{index}]"
        _check_keys(entries, _BOX_KEYS, which)
        half = _array(entries["half_extents"], (3,), f"{which}.half_extents")
        if not (half > 0).all():
            raise InputError(f"{which}.half_extents must be above 0, got {half.tolist()}")
        boxes.append(Box(_array(entries["centre"], (3,), f"{which}.centre"), half))
    return tuple(boxes)


# Corner i of a box is at the signs of i's bits (x, y, z); faces are counter-clockwise from outside.
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5],
        [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
        [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip
