"""The record that every grasp file is read into and written from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp import documents
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

PER_GRASP = ("energy", "success_probability", "success", "width", "in_collision", "failure")
"""The names of the optional arrays with one entry a grasp."""


COLUMNS: dict[str, tuple[Callable[[str, object], Any], Any]] = {
    "energy": (documents.number, np.float64),
    "success_probability": (documents.number, np.float64),
    "success": (documents.label, np.bool_),
    "width": (documents.number, np.float64),
    "in_collision": (documents.label, np.bool_),
    "failure": (documents.text, np.str_),
}
"""How the entries of `PER_GRASP` are read, one a grasp."""


@dataclass(frozen=True, eq=False)
class Grasps:
    """Grasps of one object by one gripper: metres, kilograms, the mesh file's frame.

    The order is a ranking, best first, wherever there is something to rank by.

    Attributes:
        poses: `T_object_grasp`, the pose of the gripper's base (+z approach, +x closing) in the
            frame of the object's mesh file after scaling.
        gripper: the gripper's name, e.g. "panda"; None if the file does not say.
        object_file: the mesh file as the file names it; None if it does not.
        object_scale: what the mesh file's coordinates are multiplied by to be metres.
        energy: the energy of the field, lower is better, up to a constant; dimensionless.
        success_probability: the predicted chance that the grasp holds.
        success: whether it held in physics.
        width: opening between the pads, metres: when the grasp is closed for measured grasps, of
            the contacts for planned ones.
        in_collision: whether the open gripper touches the object.
        failure: a short code a grasp that says why it failed in physics, "" where it did not.
        mass: the object's, in kilograms.
        friction: the coefficient between object and pads.
        center_of_mass: the object's, metres, in the frame of the poses.
        object_sha256: the digest of the object's geometry.
        sampler: what made the grasps (weights, seed, steps, …), as JSON can hold it.
        protocol: the version of the physics protocol that `success` comes from.
        tool_center_point: the point between the fingertips in the gripper's frame, metres.
        reason: why there are no grasps, or fewer than were asked for.

    Raises:
        InputError: a pose is not a rigid transform (rotation orthonormal within
            `ORTHONORMAL_WITHIN`, no reflection, last row 0 0 0 1), a number is not finite or out
            of its range, or an array has another length than `poses`.
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

    def __post_init__(self) -> None:
        check_poses("grasp", self.poses)
        for name, values in self.arrays().items():
            check_length(name, values, len(self))
            if name in _RANGES:
                _check_range(name, values)
        for name in ("object_scale", "mass"):
            number = getattr(self, name)
            if number is not None and not (0 < number < math.inf):
                raise InputError(f"{name} must be positive and finite, got {number}")
        if self.friction is not None and not (0 <= self.friction < math.inf):
            raise InputError(f"friction must be 0 or more and finite, got {self.friction}")
        for name in ("center_of_mass", "tool_center_point"):
            point = getattr(self, name)
            if point is not None and not (np.shape(point) == (3,) and np.isfinite(point).all()):
                raise InputError(f"{name} must be three finite numbers, got {point}")

    def __len__(self) -> int:
        return len(self.poses)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of `PER_GRASP` that are there."""
        values = {name: getattr(self, name) for name in PER_GRASP}
        return {name: array for name, array in values.items() if array is not None}

    def select(self, index: Shaped[np.ndarray, " chosen"] | slice) -> Grasps:
        """The grasps at these places, in this order.

        Args:
            index: integers, a mask, or a slice.
        """
        chosen: dict[str, Any] = {name: array[index] for name, array in self.arrays().items()}
        return dataclasses.replace(self, poses=self.poses[index], **chosen)

    def ranked(self) -> Grasps:
        """The same grasps, best first.

        By `success_probability` where that is known, else by `energy`, lowest first, and those that
        are known to be in collision after all others; equal ones stay in their order, and so do all
        where neither is known, whose order is the ranking.
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
    """Refuse an array that is not one value a grasp.

    Raises:
        InputError: with `name` and both lengths in the message.
    """
    if values.shape != (count,):
        raise InputError(
            f"there must be one {name} for each of the {count} grasps, got shape {values.shape}"
        )


_RANGES = {
    "energy": ("finite", -math.inf, math.inf),
    "success_probability": ("between 0 and 1", 0, 1),
    "width": ("0 or more", 0, math.inf),
}


def _check_range(name: str, values: np.ndarray) -> None:
    expected, low, high = _RANGES[name]
    fine = np.isfinite(values) & (low <= values) & (values <= high)
    if not fine.all():
        first = int(fine.argmin())
        raise InputError(f"the {name} of grasp {first} must be {expected}, got {values[first]}")


def columns(grasps: list[dict[str, Any]]) -> dict[str, Any]:
    """The arrays of `PER_GRASP` from grasps that are mappings.

    Raises:
        InputError: some grasps have a value that others lack, or it is of another kind.
    """
    arrays: dict[str, Any] = {}
    for name, (parse_entry, dtype) in COLUMNS.items():
        values = [grasp.get(name) for grasp in grasps]
        if all(value is None for value in values):
            continue
        if None in values:
            raise InputError(f"grasp {values.index(None)} has no {name}, but other grasps have one")
        entries = [parse_entry(f"the {name} of grasp {i}", v) for i, v in enumerate(values)]
        arrays[name] = np.array(entries, dtype)
    return arrays
