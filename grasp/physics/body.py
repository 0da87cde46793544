"""The object as a rigid body: convex parts to touch, mass, centre of mass and inertia."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from grasp.objects.object import Object, Part
from grasp.objects.solids import solid
from pcdiff.errors import InputError


@dataclass(frozen=True, eq=False)
class Body:
    """A rigid body in the frame of its object.

    Args:
        name: Of the object.
        parts: Convex, metres.
        mass: kg.
        centre: (3,), of mass, metres.
        inertia: (3, 3), about the centre of mass, kg·m².
    """

    name: str
    parts: tuple[Part, ...]
    mass: float
    centre: Float[np.ndarray, "3"]
    inertia: Float[np.ndarray, "3 3"]


def rigid_body(obj: Object, parts: Sequence[Part], mass: float | None, density: float) -> Body:
    """The body of an object of one density throughout.

    Args:
        obj: A mesh.
        parts: Its convex parts, which count where the mesh is not closed; see `solid`.
        mass: kg; None for volume x density.
        density: kg/m³.

    Raises:
        InputError: Mass or density is not a positive number; mesh and parts have no volume.
    """
    for name, value in (("mass", mass), ("density", density)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"the {name} must be a number above 0, got {value}")
    found = solid(obj, parts)
    if found is None:
        raise InputError(f"{obj.file or obj.name} has no volume: physics needs a solid object")
    volume, centre, inertia = found
    mass = volume * density if mass is None else mass
    return Body(obj.name, tuple(parts), float(mass), centre, inertia * (mass / volume))
