"""The object as a rigid body: convex parts for contacts, mass, centre of mass and inertia."""

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
        name: Name of the object.
        parts: Convex parts as (vertices, faces), with vertices in metres.
        mass: Mass in kilograms.
        centre: Centre of mass, (3,), in metres.
        inertia: Inertia matrix with respect to the centre of mass, (3, 3), in kg·m².
        warning: A sentence about convex parts that do not follow the mesh; None if they do.
    """

    name: str
    parts: tuple[Part, ...]
    mass: float
    centre: Float[np.ndarray, "3"]
    inertia: Float[np.ndarray, "3 3"]
    warning: str | None = None


def rigid_body(obj: Object, parts: Sequence[Part], mass: float | None, density: float) -> Body:
    """Return the rigid body of an object with uniform density.

    Args:
        obj: Object, a mesh.
        parts: Convex parts of the object. The volume of an open mesh is the volume of its convex
            parts (see `grasp.objects.solids.solid`).
        mass: Mass in kilograms. None means volume times density.
        density: Density in kg/m³, used only if `mass` is None.

    Raises:
        InputError: If the mass or the density is not a positive number, or neither the mesh nor its
            convex parts have a volume.
    """
    for name, value in (("mass", mass), ("density", density)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"the {name} must be a number above 0, got {value}")
    found = solid(obj, parts)
    if found is None:
        raise InputError(f"{obj.file or obj.name} has no volume, but physics needs a solid object")
    volume, centre, inertia = found
    mass = volume * density if mass is None else mass
    return Body(obj.name, tuple(parts), float(mass), centre, inertia * (mass / volume))
