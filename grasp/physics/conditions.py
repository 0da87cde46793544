"""The physical conditions of a trial that depend on the object."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from grasp.physics.protocol import Protocol
from pcdiff.errors import InputError

# MuJoCo's numbers overflow far beyond these limits, which no object to grasp approaches.
_LARGEST_MASS = 1e4  # kg
_LARGEST_DENSITY = 1e5  # kg/m³
_LARGEST_FRICTION = 100.0


@dataclass(frozen=True)
class Conditions:
    """Mass, density and friction of an object in a trial.

    Args:
        mass: Mass of the object in kilograms, above 0 and at most 10 000. None means volume times
            density.
        density: Density of the object in kg/m³, above 0 and at most 100 000. None means the
            protocol's density. The density has no effect if `mass` is a number.
        friction: Coefficient of friction between object and gripper, above 0 and at most 100. None
            means the protocol's coefficient.

    Raises:
        InputError: If a number is out of its range.
    """

    mass: float | None = None
    density: float | None = None
    friction: float | None = None

    def __post_init__(self) -> None:
        for name, value, largest, unit in (
            ("mass", self.mass, _LARGEST_MASS, " kg"),
            ("density", self.density, _LARGEST_DENSITY, " kg/m³"),
            ("friction", self.friction, _LARGEST_FRICTION, ""),
        ):
            if value is None:
                continue
            if not 0 < value < np.inf:
                raise InputError(f"the {name} must be a number above 0, got {value}")
            if value > largest:
                raise InputError(f"the {name} must be at most {largest:g}{unit}, got {value:g}")

    def under(self, protocol: Protocol) -> Conditions:
        """Return these conditions with the density and the friction of a protocol for None."""
        return dataclasses.replace(
            self,
            density=protocol.density if self.density is None else self.density,
            friction=protocol.friction if self.friction is None else self.friction,
        )
