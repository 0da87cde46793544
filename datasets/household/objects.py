"""Make household objects; an object depends only on its family, the seed and its index."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from datasets.household import blocks, extremes, tools, vessels
from datasets.household.draws import Draw
from datasets.household.shapes import Polyhedron, moved, union, volume, yawed
from pcdiff.errors import InputError

OFFSET = 0.05
"""Largest distance in metres along x, and along y, from the origin to the middle of an object."""

Family = Callable[[Draw], list[Polyhedron]]
"""A function that draws the sizes of an object and returns its convex pieces, at any position."""

FAMILIES: dict[str, Family] = {
    "animal": blocks.animal,
    "banana": blocks.banana,
    "bottle": vessels.bottle,
    "bowl": vessels.bowl,
    "box": blocks.carton,
    "brush": tools.brush,
    "can": vessels.can,
    "car": blocks.car,
    "crate": blocks.crate,
    "dumbbell": blocks.dumbbell,
    "figurine": blocks.figurine,
    "fruit": vessels.fruit,
    "glass": vessels.glass,
    "hammer": tools.hammer,
    "headphones": blocks.headphones,
    "jar": vessels.jar,
    "jug": vessels.jug,
    "knife": tools.knife,
    "knob": vessels.knob,
    "l_shape": blocks.l_shape,
    "large_block": extremes.large_block,
    "large_can": extremes.large_can,
    "lightbulb": vessels.lightbulb,
    "mug": vessels.mug,
    "pan": vessels.pan,
    "plate": vessels.plate,
    "pot": vessels.pot,
    "ring": blocks.ring,
    "rounded_block": blocks.rounded_block,
    "scissors": tools.scissors,
    "screwdriver": tools.screwdriver,
    "slab": extremes.slab,
    "spatula": tools.spatula,
    "spectacles": tools.spectacles,
    "spoon": tools.spoon,
    "t_shape": blocks.t_shape,
    "teapot": vessels.teapot,
    "torch": tools.torch,
    "toy": blocks.toy,
    "wineglass": vessels.wineglass,
    "wrench": tools.wrench,
}
"""The function of each family, by the name of the family."""


@dataclass(frozen=True, eq=False)
class HouseholdObject:
    """An object to grasp.

    An object from `make` has z up and stands or lies on z = 0. It is turned around z by a random
    angle, and the middle of its bounding box is shifted from the origin by up to `OFFSET` along x
    and y. So a network cannot learn from the position or the heading of an object in its file.

    Attributes:
        name: Name of the object and its files; `{family}_{seed}_{index}` for an object from `make`.
        family: Name of the family.
        seed: Seed of the set.
        index: Position in the set, starting at 0.
        vertices: Vertices of the surface in metres.
        faces: Triangles of the surface, counter-clockwise seen from outside; watertight if the
            object is from `make`.
        parts: Convex polyhedra in metres, whose union is the solid inside the surface. The union
            is exact for objects from `make`, and approximate after `roughened`. The tuple is empty
            if the parts are unknown.
        mass: Mass in kilograms.
        friction: Coefficient of friction against a gripper's pads.
        parameters: Randomly drawn values by name, including `yaw`, `offset_x` and `offset_y`, and
            the density in kg/m³. Lengths are in metres, before any scaling by `scaled`; angles are
            in radians.
    """

    name: str
    family: str
    seed: int
    index: int
    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    parts: tuple[Polyhedron, ...]
    mass: float
    friction: float
    parameters: dict[str, float | int | str]


def make(family: str, seed: int = 0, index: int = 0) -> HouseholdObject:
    """Make the object that a family, a seed and an index determine.

    Args:
        family: Key of `FAMILIES`.
        seed: Seed of a set, at least 0.
        index: Position in the set, at least 0.

    Raises:
        InputError: If the family does not exist.
    """
    check_family(family)
    draw = Draw(np.random.default_rng([seed, index, *family.encode()]))
    solid = FAMILIES[family](draw)
    if math.isnan(draw.density):
        raise ValueError(f"the family {family} must draw a material, got no material")
    # Unite before turning, because rounding makes shared faces slightly different after a turn.
    surface = union(solid)
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    yaw = draw.uniform("yaw", -math.pi, math.pi)
    place = (
        draw.uniform("offset_x", -OFFSET, OFFSET),
        draw.uniform("offset_y", -OFFSET, OFFSET),
        0,
    )
    foot = (-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2])
    surface, *parts = moved(yawed(moved([surface, *solid], foot), yaw), place)
    return HouseholdObject(
        name=f"{family}_{seed}_{index:05d}",
        family=family,
        seed=seed,
        index=index,
        vertices=surface.vertices,
        faces=surface.faces,
        parts=tuple(parts),
        mass=draw.density * volume(surface),
        friction=draw.friction,
        parameters=draw.values,
    )


def make_set(
    count: int, seed: int = 0, families: Sequence[str] | None = None
) -> Iterator[HouseholdObject]:
    """Make the objects of a set, one at a time.

    The families take turns. Object `i` depends on the seed, on `i` and on the list of families, but
    not on the count. So a larger set starts with the objects of a smaller set.

    Args:
        count: Number of objects.
        seed: Seed of the set, at least 0.
        families: Keys of `FAMILIES`; None uses all families.

    Raises:
        InputError: If a family does not exist, or the list of families is empty.
    """
    names = list(FAMILIES if families is None else families)
    if not names:
        raise InputError(
            "the list of families is empty, expected at least one family from the list "
            f"{', '.join(FAMILIES)}"
        )
    for name in names:
        check_family(name)
    for index in range(count):
        yield make(names[index % len(names)], seed, index)


def with_material(
    obj: HouseholdObject, density: float | None = None, friction: float | None = None
) -> HouseholdObject:
    """Copy an object with another density or friction and the same shape.

    Args:
        obj: Object to copy.
        density: Density in kg/m³; None keeps the density.
        friction: Coefficient of friction against a gripper's pads; None keeps the friction.

    Raises:
        InputError: If the density or the friction is not positive and finite.
    """
    for name, value in (("density", density), ("friction", friction)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"the {name} of objects must be a finite number above 0, got {value}")
    own = float(obj.parameters["density"])
    given = own if density is None else density
    return replace(
        obj,
        mass=obj.mass * given / own,
        friction=obj.friction if friction is None else friction,
        parameters={**obj.parameters, "density": given},
    )


def scaled(obj: HouseholdObject, factor: float) -> HouseholdObject:
    """Copy an object and multiply all its coordinates by a factor; the density does not change.

    Args:
        obj: Object to copy.
        factor: Factor by which all coordinates are multiplied.

    Raises:
        InputError: If the factor is not positive and finite.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"the scale of objects must be a finite number above 0, got {factor}")
    return replace(
        obj,
        vertices=factor * obj.vertices,
        parts=tuple(Polyhedron(factor * vertices, faces) for vertices, faces in obj.parts),
        mass=factor**3 * obj.mass,
        parameters={**obj.parameters, "scale": factor},
    )


def check_family(name: str) -> None:
    """Raise an error if a family does not exist.

    Args:
        name: Name of the family.

    Raises:
        InputError: If the family does not exist.
    """
    if name not in FAMILIES:
        raise InputError(
            f"the family {name!r} does not exist, expected a family from the list "
            f"{', '.join(FAMILIES)}"
        )
