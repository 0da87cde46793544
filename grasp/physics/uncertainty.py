"""The distribution of what nobody knows when a robot grasps, and draws from it.

A grasp that succeeds at one exact friction, mass and pose may fail at slightly different ones. So a
trial is repeated under several draws of these factors, and the *robust success* of a grasp is the
share of the draws in which it succeeds. The draws do not depend on the grasp, the object or the
gripper: methods that are compared meet the same conditions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from grasp.documents import check_keys, mapping, number, read_toml, text
from pcdiff.errors import InputError

FILE = Path(__file__).with_name("uncertainty-1.toml")
"""The distribution of this package. A published version never changes; a new one is a new file."""

# Factors in the order of the fields of `Draw`.
_INTERVALS = ("friction", "creep", "softness", "mass", "force")
_DEVIATIONS = ("centre", "translation", "rotation")
_UNIFORM = ("friction", "force")
_DIMENSIONS = len(_INTERVALS) + 3 * len(_DEVIATIONS)

Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw of the unknown factors of a trial.

    Attributes:
        friction: Coefficient of friction between object and gripper.
        creep: Factor of the protocol's `friction_impedance_ratio`.
        softness: Factor of the protocol's `time_constant`.
        mass: Factor of the object's mass and inertia.
        force: Factor of the force of each finger.
        centre: Shift of the centre of mass, as a share of the object's extent along each axis of
            its file.
        translation: Error of the hand's position in metres, along the axes of the gripper.
        rotation: Error of the hand's orientation: a rotation vector in radians, in the gripper's
            frame, around the tool centre point.
    """

    friction: float
    creep: float
    softness: float
    mass: float
    force: float
    centre: Float[np.ndarray, "3"]
    translation: Float[np.ndarray, "3"]
    rotation: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Uncertainty:
    """Independent distributions of the unknown factors of a trial; see `Draw` for the factors.

    Attributes:
        version: Version of the distribution, which every result records.
        count: Number of draws of an evaluation.
        seed: Seed of the draws, so that every evaluation meets the same ones.
        friction: Bounds of a uniform distribution.
        creep: Bounds of a log-uniform distribution.
        softness: Bounds of a log-uniform distribution.
        mass: Bounds of a log-uniform distribution.
        force: Bounds of a uniform distribution.
        centre: Standard deviation of a normal distribution along each axis, a share of the extent.
        translation: Standard deviation of a normal distribution along each axis, in metres.
        rotation: Standard deviation of a normal distribution around each axis, in radians.

    Raises:
        InputError: If the bounds of an interval are not above 0 and in order, a standard deviation
            is negative or not finite, the number of draws is below 1, or the seed is below 0.
    """

    version: str
    count: int
    seed: int
    friction: Interval
    creep: Interval
    softness: Interval
    mass: Interval
    force: Interval
    centre: float
    translation: float
    rotation: float

    def __post_init__(self) -> None:
        for name in _INTERVALS:
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise InputError(
                    f"the bounds of {name} must be above 0, finite and in order, "
                    f"got {low:g} and {high:g}"
                )
        for name in _DEVIATIONS:
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(
                    f"the standard deviation of {name} must be finite and at least 0, "
                    f"got {getattr(self, name):g}"
                )
        if self.seed < 0:
            raise InputError(f"the seed of the draws must be at least 0, got {self.seed}")
        if self.count < 1:
            raise InputError(f"the number of draws must be at least 1, got {self.count}")

    def draws(self) -> list[Draw]:
        """Return the `count` draws of an evaluation.

        The draws are the first points of a scrambled Sobol sequence (Owen, "Scrambling Sobol' and
        Niederreiter-Xing points", 1998), so that few of them cover all factors evenly.
        """
        from scipy.special import ndtri
        from scipy.stats.qmc import Sobol

        sequence = Sobol(_DIMENSIONS, scramble=True, seed=np.random.default_rng(self.seed))
        shares = sequence.random_base2(math.ceil(math.log2(self.count)))[: self.count]
        factors = np.stack(
            [
                _in_interval(getattr(self, name), shares[:, index], name in _UNIFORM)
                for index, name in enumerate(_INTERVALS)
            ],
            axis=1,
        )
        normal = ndtri(shares[:, len(_INTERVALS) :]).reshape(self.count, 3, 3)
        errors = normal * np.array([getattr(self, name) for name in _DEVIATIONS])[:, None]
        return [Draw(*row.tolist(), *error) for row, error in zip(factors, errors, strict=True)]


def _in_interval(
    bounds: Interval, shares: Float[np.ndarray, " draws"], uniform: bool
) -> Float[np.ndarray, " draws"]:
    low, high = bounds
    if uniform:
        return low + shares * (high - low)
    return low * (high / low) ** shares


def load_uncertainty(path: Path = FILE) -> Uncertainty:
    """Read a distribution from a .toml file; see `uncertainty-1.toml` in this folder for the form.

    Args:
        path: File to read.

    Raises:
        InputError: If the file cannot be read or is not a TOML file, an entry is missing, unknown
            or of the wrong type, or the distribution is impossible.
    """
    entries = read_toml(path, "uncertainty file")
    try:
        return _parse(entries)
    except InputError as error:
        raise InputError(f"the uncertainty file {path}: {error}") from error


def _parse(entries: dict[str, Any]) -> Uncertainty:
    check_keys(entries, {"version", "draws", "seed", *_INTERVALS, *_DEVIATIONS}, "the file")
    values: dict[str, Any] = {
        name: _numbers(name, entries[name], ("low", "high")) for name in _INTERVALS
    }
    for name in _DEVIATIONS:
        (values[name],) = _numbers(name, entries[name], ("deviation",))
    values["rotation"] = math.radians(values["rotation"])
    return Uncertainty(
        version=text("version", entries["version"]),
        count=_whole("draws", entries["draws"]),
        seed=_whole("seed", entries["seed"]),
        **values,
    )


def _numbers(name: str, value: object, keys: tuple[str, ...]) -> tuple[float, ...]:
    """Return the numbers of a factor's table, which must also state their source."""
    table = mapping(name, value)
    check_keys(table, {*keys, "source"}, name)
    text(f"source of {name}", table["source"])
    return tuple(number(f"{key} of {name}", table[key]) for key in keys)


def _whole(name: str, value: object) -> int:
    found = number(name, value)
    if found != int(found):
        raise InputError(f"{name} must be a whole number, got {found:g}")
    return int(found)
