"""The class `Grasps`, which all readers of grasp files return and all writers accept."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, Float, Shaped

from grasp import documents
from grasp.formats.notebook import data_frame, html_picture, html_table
from grasp.formats.single import Grasp
from grasp.grippers.gripper import Gripper
from grasp.objects.object import FILE_FRAME, FRAMES, Object
from grasp.poses.rigid import check_poses
from pcdiff.errors import InputError

PER_GRASP = ("energy", "success_probability", "success", "width", "in_collision", "failure")
"""Names of the optional arrays with one entry per grasp."""

LONGEST_FAILURE = 200
"""Largest number of characters in the code of a failure. NumPy reserves the length of the longest
code for every grasp."""


def failure_code(what: str, value: object) -> str:
    """Return the value if it is a text of at most `LONGEST_FAILURE` characters.

    Args:
        what: Name of the value in the error message.
        value: Value to check.

    Raises:
        InputError: If the value is not a text, or is too long.
    """
    code = documents.text(what, value)
    if len(code) > LONGEST_FAILURE:
        raise InputError(
            f"{what} must have at most {LONGEST_FAILURE} characters, got {len(code)} characters"
        )
    return code


COLUMNS: dict[str, tuple[Callable[[str, object], Any], Any]] = {
    "energy": (documents.number, np.float64),
    "success_probability": (documents.number, np.float64),
    "success": (documents.boolean, np.bool_),
    "width": (documents.number, np.float64),
    "in_collision": (documents.boolean, np.bool_),
    "failure": (failure_code, np.str_),
}
"""For each name in `PER_GRASP`, the function that parses one entry, and the type of the array."""


@dataclass(frozen=True, eq=False)
class Grasps:
    """Grasps of one object with one gripper.

    Lengths are in metres, masses in kilograms, and poses in `frame`. `ranked` sorts the grasps,
    best first.

    `grasps[0]` is a single `Grasp`. A slice, a mask or an array of indices selects `Grasps`:
    `grasps[:10]`, `grasps[grasps.success_probability > 0.9]`, `grasps[[3, 1]]`. Iteration gives one
    `Grasp` after the other.

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
        remarks: Sentences about the object, e.g. about points of a scan that were left out.
        remedies: Names of the settings whose change `reason` suggests, such as the fields of
            `grasp.field.request.Request`. Files do not contain them.
        obj: The object, from which notebooks draw a picture; None if unknown. Files do not contain
            it.
        hand: The gripper, for the same purpose. Files contain only its name.

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
    remarks: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    obj: Object | None = None
    hand: Gripper | None = None

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

    @overload
    def __getitem__(self, index: int | np.integer) -> Grasp: ...

    @overload
    def __getitem__(self, index: slice | np.ndarray | Sequence[int]) -> Grasps: ...

    def __getitem__(self, index: Any) -> Grasp | Grasps:
        if isinstance(index, int | np.integer):
            values = {name: array[index].item() for name, array in self.arrays().items()}
            return Grasp(self.poses[index], self.gripper, **values)
        if isinstance(index, slice):
            return self.select(index)
        chosen = np.asarray(index)
        return self.select(chosen if chosen.size else np.empty(0, int))  # [] has the type float

    def __iter__(self) -> Iterator[Grasp]:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        return f"Grasps({self._summary()})"

    def _summary(self) -> str:
        words = [f"{len(self)}"]
        if self.object_file is not None or self.obj is not None:
            words.append(f"of {self.object_file if self.obj is None else self.obj.name}")
        if self.gripper is not None:
            words.append(f"for {self.gripper}")
        text = [" ".join(words)]
        if len(self) and self.success_probability is not None:
            low, high = self.success_probability.min(), self.success_probability.max()
            text.append(f"probability {low:.2f} to {high:.2f}")
        if len(self) and self.success is not None:
            text.append(f"{int(self.success.sum())} hold")
        if len(self) and self.in_collision is not None:
            text.append(f"{int(self.in_collision.sum())} in collision")
        if self.reason is not None:
            text.append(f"reason: {self.reason}")
        return "; ".join(text)

    def _repr_html_(self) -> str:
        """Return a table of the first grasps, and a picture if the object is known."""
        parts = [f"<p>Grasps: {html.escape(self._summary())}</p>"]
        if len(self):
            parts.append(html_table(self.poses, self.arrays()))
        if len(self) and self.obj is not None and self.hand is not None:
            parts.append(html_picture(self.obj, self.hand, self.poses, self.arrays()))
        return f"<div>{''.join(parts)}</div>"

    def to_dataframe(self) -> Any:
        """Return the grasps as a `pandas.DataFrame` with one row per grasp.

        The columns are the position of the gripper's base in metres (x, y, z), its rotation as a
        unit quaternion (qx, qy, qz, qw), and the known arrays among `PER_GRASP`.

        Raises:
            InputError: If the package pandas is not installed.
        """
        return data_frame(self.poses, self.arrays())

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
