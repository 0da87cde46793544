"""The class `Grasps`, which all readers of grasp files return and all writers accept."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp import documents
from grasp.objects.object import FILE_FRAME, FRAMES
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

PER_GRASP = ("energy", "success_probability", "success", "width", "in_collision", "failure")
"""Names of the optional arrays with one entry per grasp."""

COLUMNS: dict[str, tuple[Callable[[str, object], Any], Any]] = {
    "energy": (documents.number, np.float64),
    "success_probability": (documents.number, np.float64),
    "success": (documents.boolean, np.bool_),
    "width": (documents.number, np.float64),
    "in_collision": (documents.boolean, np.bool_),
    "failure": (documents.text, np.str_),
}
"""For each name in `PER_GRASP`, the function that parses one entry, and the type of the array."""


@dataclass(frozen=True, eq=False)
class Grasps:
    """Grasps of one object with one gripper.

    Lengths are in metres, masses in kilograms, and poses in `frame`. `ranked`
    sorts the grasps, best first.

    Attributes:
        poses: `T_object_grasp`, the poses of the gripper's base (+z approach, +x closing) in the
            frame of the object's mesh file after scaling.
        gripper: Name of the gripper, e.g. "panda"; None if unknown.
        object_file: Name of the mesh file as written in the grasp file; None if unknown.
        object_scale: Factor that converts the mesh file's coordinates to metres.
        energy: Energy of the grasp field up to a constant, dimensionless; lower is better.
        success_probability: Predicted probability of success.
        success: True for each grasp that succeeded in physics.
        width: Opening between the pads in metres: for simulated grasps, the opening after closing;
            for planned grasps, the distance between the contacts.
        in_collision: True for each grasp in which the open gripper touches the object.
        failure: Short code for the reason why a grasp failed in physics; "" for a successful grasp.
        mass: Mass of the object in kilograms.
        friction: Coefficient of friction between object and pads.
        center_of_mass: Centre of mass of the object in metres, in the frame of the poses.
        object_sha256: Digest of the object's geometry.
        sampler: Description of the sampler that produced the grasps (weights, seed, steps, …), in
            values that JSON can represent.
        protocol: Version of the physics protocol that determined `success`.
        tool_center_point: Point between the fingertips in metres, in the gripper's frame.
        reason: Reason why there are no grasps, or fewer grasps than requested.
        frame: Frame of the poses: "object mesh file", "camera" or "robot base"; see
            `grasp.objects.object`.
        note: What the user should know about the object, e.g. which points of a scan were left out;
            None if there is nothing to say.

    Raises:
        InputError: If a pose is not a rigid transform (rotation orthonormal within
            `ORTHONORMALITY_TOLERANCE`, no reflection, last row 0 0 0 1), a number is not finite or
            out of range, or the number of entries in an array differs from the number of poses.
    """

    poses: Float[np.ndarray, "grasps 4 4"]
    gripper: str | None = None
    object_file: str | None = None
    object_scale: float = 1.0
    energy: Float[np.ndarray, " grasps"] | None = None
    success_probability: Float[np.ndarray, " grasps"] | None = None
    success: Bool[np.ndarray, " grasps"] | None = None
    width: Float[np.ndarray, " grasps"] | None = None
    in_collision: Bool[np.ndarray, " grasps"] | None = None
    failure: Shaped[np.ndarray, " grasps"] | None = None
    mass: float | None = None
    friction: float | None = None
    center_of_mass: Float[np.ndarray, "3"] | None = None
    object_sha256: str | None = None
    sampler: dict[str, Any] | None = None
    protocol: str | None = None
    tool_center_point: Float[np.ndarray, "3"] | None = None
    reason: str | None = None
    frame: str = FILE_FRAME
    note: str | None = None

    def __post_init__(self) -> None:
        check_poses("grasp", self.poses)
        for name, values in self.arrays().items():
            check_length(name, values, len(self))
            if name in _RANGES:
                _check_range(name, values)
        if self.frame not in FRAMES:
            raise InputError(f"the frame must be one of {', '.join(FRAMES)}, got {self.frame!r}")
        for name in ("object_scale", "mass"):
            number = getattr(self, name)
            if number is not None and not (0 < number < math.inf):
                raise InputError(f"{name} must be positive and finite, got {number}")
        if self.friction is not None and not (0 <= self.friction < math.inf):
            raise InputError(f"friction must be finite and at least 0, got {self.friction}")
        for name in ("center_of_mass", "tool_center_point"):
            point = getattr(self, name)
            if point is not None and not (np.shape(point) == (3,) and np.isfinite(point).all()):
                raise InputError(f"{name} must be three finite numbers, got {point}")

    def __len__(self) -> int:
        return len(self.poses)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return a dictionary of those arrays in `PER_GRASP` that are not None."""
        values = {name: getattr(self, name) for name in PER_GRASP}
        return {name: array for name, array in values.items() if array is not None}

    def select(self, index: Shaped[np.ndarray, " chosen"] | slice) -> Grasps:
        """Return the selected grasps in the order of `index`.

        Args:
            index: Integer indices, a mask, or a slice.
        """
        chosen: dict[str, Any] = {name: array[index] for name, array in self.arrays().items()}
        return dataclasses.replace(self, poses=self.poses[index], **chosen)

    def ranked(self) -> Grasps:
        """Return the grasps sorted, best first.

        The grasps are sorted by decreasing `success_probability`, or by increasing `energy` if no
        probabilities are known. Grasps known to be in collision come after all other grasps, and
        ties keep their order. Grasps with neither probabilities nor energies keep their order.
        """
        if self.success_probability is not None:
            order = -self.success_probability
        elif self.energy is not None:
            order = self.energy
        else:
            return self
        collides = np.zeros(len(self)) if self.in_collision is None else self.in_collision
        return self.select(np.lexsort([order, collides]))


def check_length(name: str, values: np.ndarray, count: int) -> None:
    """Check that an array has one value per grasp.

    Args:
        name: Name of the array.
        values: Array to check.
        count: Number of grasps.

    Raises:
        InputError: If the array has another shape.
    """
    if values.shape != (count,):
        raise InputError(
            f"there must be one {name} for each of the {count} grasps, got shape {values.shape}"
        )


_RANGES = {
    "energy": ("finite", -math.inf, math.inf),
    "success_probability": ("between 0 and 1", 0, 1),
    "width": ("at least 0", 0, math.inf),
}


def _check_range(name: str, values: np.ndarray) -> None:
    expected, low, high = _RANGES[name]
    fine = np.isfinite(values) & (low <= values) & (values <= high)
    if not fine.all():
        first = int(fine.argmin())
        raise InputError(f"the {name} of grasp {first} must be {expected}, got {values[first]}")


def columns(grasps: list[dict[str, Any]]) -> dict[str, Any]:
    """Collect the arrays of `PER_GRASP` from one mapping per grasp.

    Args:
        grasps: For each grasp, a mapping from names to values.

    Raises:
        InputError: If some grasps have a value that others lack, or a value has the wrong type.
    """
    arrays: dict[str, Any] = {}
    for name, (parse_entry, dtype) in COLUMNS.items():
        values = [grasp.get(name) for grasp in grasps]
        if all(value is None for value in values):
            continue
        if None in values:
            raise InputError(f"grasp {values.index(None)} has no {name}, but other grasps do")
        entries = [parse_entry(f"the {name} of grasp {i}", v) for i, v in enumerate(values)]
        arrays[name] = np.array(entries, dtype)
    return arrays
