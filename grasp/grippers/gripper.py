"""Immutable descriptions of parallel-jaw grippers, read from TOML files that users can write.

The origin of a gripper's frame is the base of the hand; +z is the approach direction and +x the
closing direction. The fingers are mirror images in x, and each finger moves by half the opening.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float, Int

from grasp.digest import digest
from grasp.documents import check_keys, kind_of, read_toml
from pcdiff.bounds import shown
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)
else:
    Array = Any  # any type, so that torch is not imported

SHIPPED = Path(__file__).parent
"""The folder of the gripper files that come with the package."""

_KEYS = {"name", "stroke", "max_force", "mass", "tool_center_point", "hand", "finger"}
_IGNORED_KEYS = {"control_points"}
_FINGER_KEYS = {"pad", "boxes"}
_BOX_KEYS = {"centre", "half_extents"}

# File names contain the name of the gripper.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

MAXIMUM_LENGTH = 2.0
"""Largest accepted coordinate or length in metres. A larger value is probably in another unit."""


@dataclass(frozen=True, eq=False)
class Box:
    """An axis-aligned box in the gripper's frame.

    Args:
        centre: Centre of the box, (3,), in metres.
        half_extents: Half of the side lengths, (3,), in metres.
    """

    centre: Float[np.ndarray, "3"]
    half_extents: Float[np.ndarray, "3"]


@dataclass(frozen=True, eq=False)
class Gripper:
    """A parallel-jaw gripper in its own frame: +z is the approach, +x the closing direction.

    Args:
        name: Name used in grasp files, made of letters, digits, `.`, `_` and `-`.
        stroke: Largest opening between the pads in metres.
        max_force: Largest force in newtons that each finger applies to a grasped object.
        mass: Mass of the whole gripper in kilograms.
        tool_center_point: Point between the pads, (3,), in metres in the gripper's frame.
        hand_boxes: Boxes of the hand without its fingers.
        finger_boxes: Boxes of the finger on the +x side when the gripper is closed and the pads
            meet at x = 0.
        pad: Start and end of the pads along z in metres.
    """

    name: str
    stroke: float
    max_force: float
    mass: float
    tool_center_point: Float[np.ndarray, "3"]
    hand_boxes: tuple[Box, ...]
    finger_boxes: tuple[Box, ...]
    pad: tuple[float, float]

    def __repr__(self) -> str:
        return f"Gripper({self.name}, opens {1000 * self.stroke:.0f} mm)"

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 digest of the gripper's description.

        Older descriptions also contained six control points: the base, the palm, and the root and
        the tip of both open fingers. The digest still includes these points, computed from the
        other entries, so that it equals the digests in existing weights and label files.
        """
        half, end = self.stroke / 2, self.pad[1]
        palm = max(float(box.centre[2] + box.half_extents[2]) for box in self.hand_boxes)
        control_points = [
            [0.0, 0.0, 0.0],
            [0.0, 0.0, palm],
            [-half, 0.0, palm],
            [half, 0.0, palm],
            [-half, 0.0, end],
            [half, 0.0, end],
        ]
        return digest({**asdict(self), "control_points": control_points})

    @cached_property
    def _finger_bounds(self) -> Float[np.ndarray, "2 3"]:
        lower = np.min([box.centre - box.half_extents for box in self.finger_boxes], axis=0)
        upper = np.max([box.centre + box.half_extents for box in self.finger_boxes], axis=0)
        return np.stack([lower, upper])

    @property
    def finger_length(self) -> float:
        """Length of a finger along the approach direction (z) in metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 2])

    @property
    def finger_width(self) -> float:
        """Width of a finger along y in metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 1])

    @property
    def finger_depth(self) -> float:
        """Depth of a finger along the closing direction (x) in metres."""
        return float(np.diff(self._finger_bounds, axis=0)[0, 0])

    def tool_points(self, poses: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 3"]:
        """Return the tool centre points of grasps in metres in the object's frame.

        For the rotation R and the translation t of a grasp, and the gripper's tool centre point p,
        the result is R p + t. For a tensor, the result is differentiable.

        Args:
            poses: Grasp poses `T_object_grasp`, an array or a tensor.
        """
        point: Any = self.tool_center_point
        if not isinstance(poses, np.ndarray):
            point = poses.new_tensor(point)
        return poses[..., :3, :3] @ point + poses[..., :3, 3]

    def tool_poses(self, poses: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 4 4"]:
        """Return `T_object_tool`: grasp poses with the origin moved to the tool centre point.

        Args:
            poses: Grasp poses `T_object_grasp`, an array or a tensor.
        """
        given: Any = poses
        moved: Any = given.copy() if isinstance(given, np.ndarray) else given.clone()
        moved[..., :3, 3] = self.tool_points(poses)
        return moved

    def check_width(self, width: float) -> None:
        """Check that the gripper can open to a width.

        Args:
            width: Opening between the pads in metres.

        Raises:
            InputError: If the width is not between 0 and `stroke`.
        """
        if not 0 <= width <= self.stroke * (1 + 1e-9):
            raise InputError(
                f"the opening of {self.name} must be between 0 and {self.stroke} m, got {width} m"
            )

    def fingers(self, width: float) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """Return the boxes of the finger at +x and the boxes of the finger at -x.

        Args:
            width: Opening between the pads in metres, 0 to `stroke`.
        """
        mirror = np.array([-1.0, 1.0, 1.0])
        half = np.array([width / 2, 0.0, 0.0])
        right = tuple(Box(box.centre + half, box.half_extents) for box in self.finger_boxes)
        return right, tuple(Box(box.centre * mirror, box.half_extents) for box in right)

    def boxes(self, width: float) -> tuple[Box, ...]:
        """Return all boxes of the gripper: the hand, the finger at +x, then the finger at -x.

        Args:
            width: Opening between the pads in metres, 0 to `stroke`.

        Raises:
            InputError: If the width is not between 0 and `stroke`.
        """
        self.check_width(width)
        right, left = self.fingers(width)
        return (*self.hand_boxes, *right, *left)

    def mesh(
        self, width: float
    ) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
        """Return the boxes of the gripper as one triangle mesh in metres, for pictures.

        Args:
            width: Opening between the pads in metres, 0 to `stroke`.

        Raises:
            InputError: If the width is not between 0 and `stroke`.
        """
        return box_mesh(self.boxes(width))


def box_mesh(
    boxes: Sequence[Box],
) -> tuple[Float[np.ndarray, "vertices 3"], Int[np.ndarray, "faces 3"]]:
    """Return boxes as one triangle mesh. Seen from outside, its faces are counter-clockwise.

    Args:
        boxes: At least one box.
    """
    vertices = [box.centre + _CORNERS * box.half_extents for box in boxes]
    faces = [BOX_FACES + len(_CORNERS) * index for index in range(len(boxes))]
    return np.concatenate(vertices), np.concatenate(faces)


def load_gripper(name_or_path: str | os.PathLike[str]) -> Gripper:
    """Load a shipped gripper by its name, or any other gripper from its TOML file.

    The shipped files in `grasp/grippers` explain every entry. Copy a shipped file to describe your
    own gripper. The entry `control_points`, which version 0.1.0 required, is ignored.

    Args:
        name_or_path: `panda`, `robotiq_2f_85`, `robotiq_2f_140`, or a path that ends in `.toml`.

    Raises:
        InputError: If no gripper has this name, the file cannot be read, or an entry of the file is
            missing, unknown or wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        shipped = shipped_grippers()
        if str(name_or_path) not in shipped:
            raise InputError(
                f"there is no gripper {shown(str(name_or_path))}: expected {', '.join(shipped)} or "
                "the path of a .toml file",
                parameter="gripper",
            )
        path = SHIPPED / f"{name_or_path}.toml"
    return gripper_from_entries(read_toml(path, "gripper file"), f"the gripper file {path}")


def shipped_grippers() -> list[str]:
    """Return the names of the grippers that come with the package, sorted."""
    return sorted(file.stem for file in SHIPPED.glob("*.toml"))


def named_gripper(name: str, source: str) -> Gripper:
    """Load the gripper that a file of grasps names.

    Unlike `load_gripper`, this function never opens a file that only the name leads to.

    Args:
        name: Name of a shipped gripper.
        source: File with the name, for the error message.

    Raises:
        InputError: If no shipped gripper has this name.
    """
    shipped = shipped_grippers()
    if name not in shipped:
        raise InputError(
            f"{source} must name one of the grippers {', '.join(shipped)}, got {shown(name)}: "
            "state the gripper",
            parameter="gripper",
        )
    return load_gripper(name)


def gripper_text(gripper: Gripper) -> str:
    """Return the text of a .toml file from which `load_gripper` loads an equal gripper.

    Args:
        gripper: Gripper to describe.
    """

    def vector(numbers: Iterable[float]) -> str:
        return f"[{', '.join(repr(float(number)) for number in numbers)}]"

    def boxes(table: str, several: Sequence[Box]) -> list[str]:
        return [
            f"[[{table}]]\ncentre = {vector(box.centre)}\nhalf_extents = {vector(box.half_extents)}"
            for box in several
        ]

    return "\n".join(
        [
            f'name = "{gripper.name}"',
            *(f"{key} = {getattr(gripper, key)!r}" for key in ("stroke", "max_force", "mass")),
            f"tool_center_point = {vector(gripper.tool_center_point)}",
            *boxes("hand", gripper.hand_boxes),
            "[finger]",
            f"pad = {vector(gripper.pad)}",
            *boxes("finger.boxes", gripper.finger_boxes),
            "",
        ]
    )


def gripper_from_entries(entries: dict[str, Any], source: str) -> Gripper:
    """Check the entries of a gripper file, and return the gripper.

    Args:
        entries: Entries of the file.
        source: Name of the file in error messages.

    Raises:
        InputError: If an entry is missing, unknown or wrong.
    """
    check_keys(entries, _KEYS, source, _IGNORED_KEYS)
    name = entries["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{source}: name must be text of at most 64 letters, digits, '.', '_' and '-' that "
            f"starts with a letter or digit, got {kind_of(name)}"
        )
    finger = entries["finger"]
    if not isinstance(finger, dict):
        raise InputError(f"{source}: finger must be a table, got {kind_of(finger)}")
    check_keys(finger, _FINGER_KEYS, f"{source}: finger")
    finger_boxes = _boxes(finger["boxes"], f"{source}: finger.boxes")
    begin, end = (float(z) for z in _vector(finger["pad"], 2, f"{source}: finger.pad"))
    if not begin < end:
        raise InputError(f"{source}: finger.pad must start below its end, got [{begin}, {end}]")
    inside = min(float(box.centre[0] - box.half_extents[0]) for box in finger_boxes)
    if abs(inside) > 1e-6:
        raise InputError(
            f"{source}: the finger's boxes must start at x = 0, where the closed pads meet, "
            f"got boxes that start at x = {inside:g} m"
        )
    touching = [box for box in finger_boxes if box.centre[0] - box.half_extents[0] < 1e-6]
    low = min(float(box.centre[2] - box.half_extents[2]) for box in touching)
    high = max(float(box.centre[2] + box.half_extents[2]) for box in touching)
    if begin < low - 1e-6 or end > high + 1e-6:
        raise InputError(
            f"{source}: finger.pad must lie on the boxes that start at x = 0, which extend from "
            f"z = {low:g} to {high:g} m, got [{begin:g}, {end:g}]"
        )
    return Gripper(
        name=name,
        stroke=_positive(entries["stroke"], f"{source}: stroke", MAXIMUM_LENGTH, "metres"),
        max_force=_positive(entries["max_force"], f"{source}: max_force", 1e5, "newtons"),
        mass=_positive(entries["mass"], f"{source}: mass", 1e3, "kilograms"),
        tool_center_point=_vector(
            entries["tool_center_point"], 3, f"{source}: tool_center_point"
        ),
        hand_boxes=_boxes(entries["hand"], f"{source}: hand"),
        finger_boxes=finger_boxes,
        pad=(begin, end),
    )  # fmt: skip


def _positive(value: Any, what: str, largest: float, unit: str) -> float:
    if not (_is_number(value) and 0 < value <= largest):  # NaN also fails
        raise InputError(
            f"{what} must be above 0 and at most {largest:g} {unit}, got {kind_of(value)}"
        )
    return float(value)


def _vector(value: Any, size: int, what: str) -> np.ndarray:
    """Convert a list of lengths in metres to a read-only float64 vector."""
    if not (isinstance(value, list) and len(value) == size and all(map(_is_number, value))):
        raise InputError(f"{what} must be a list of {size} numbers, got {_shown(value)}")
    # The numbers are compared before the conversion, because integers may exceed float64.
    if not all(-MAXIMUM_LENGTH <= number <= MAXIMUM_LENGTH for number in value):  # NaN also fails
        raise InputError(
            f"{what} must be finite numbers from -{MAXIMUM_LENGTH:g} to {MAXIMUM_LENGTH:g} metres, "
            f"got {_shown(value)}"
        )
    vector = np.array(value, dtype=np.float64)
    vector.flags.writeable = False
    return vector


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
        check_keys(entries, _BOX_KEYS, which)
        half = _vector(entries["half_extents"], 3, f"{which}.half_extents")
        if not (half > 0).all():
            raise InputError(f"{which}.half_extents must be above 0, got {half.tolist()}")
        boxes.append(Box(_vector(entries["centre"], 3, f"{which}.centre"), half))
    return tuple(boxes)


# The bits of i are the signs (x, y, z) of corner i. Seen from outside, faces are counter-clockwise.
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
BOX_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5],
        [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
        [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip
