"""One household object: made from a family, a seed and an index, and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from datasets.household import blocks, tools, vessels
from datasets.household.draws import Draw
from datasets.household.shapes import Polyhedron, moved, union, volume, yawed
from pcdiff.errors import InputError

OFFSET = 0.05
"""How far the file's origin may be from below the object's middle, along x and y, in metres."""

Family = Callable[[Draw], list[Polyhedron]]

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
    "lightbulb": vessels.lightbulb,
    "mug": vessels.mug,
    "pan": vessels.pan,
    "plate": vessels.plate,
    "pot": vessels.pot,
    "ring": blocks.ring,
    "rounded_block": blocks.rounded_block,
    "scissors": tools.scissors,
    "screwdriver": tools.screwdriver,
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
"""The families by name. A family draws its sizes and gives a solid, in any place and posture."""


@dataclass(frozen=True, eq=False)
class HouseholdObject:
    """A thing to grasp, in metres.

    One that `make` made has z up and stands or lies on z = 0, turned about z by a random angle,
    with the middle of its box off the origin by up to `OFFSET` along x and y: a file's origin and
    heading mean nothing.

    Attributes:
        name: of its files; for one that was made, `{family}_{seed}_{index}`.
        family: the family's name.
        seed: the seed of the set.
        index: its place in the set.
        vertices: of the surface.
        faces: of the surface, counter-clockwise from outside; watertight if it was made.
        parts: convex polyhedra whose union is what the surface encloses, exactly if it was made
            and not `roughened` since; empty where they are not known.
        mass: kilograms.
        friction: coefficient against a gripper's pads.
        parameters: what was drawn, by name, `yaw`, `offset_x` and `offset_y` among them, and the
            density in kg/m³; lengths in metres, before it was `scaled`, angles in radians.
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
    """The object of a family that a seed and an index stand for.

    Args:
        family: a key of `FAMILIES`.
        seed: of a set, at least 0.
        index: in that set, at least 0.

    Raises:
        InputError: there is no such family.
    """
    check_family(family)
    draw = Draw(np.random.default_rng([seed, index, *family.encode()]))
    solid = FAMILIES[family](draw)
    if math.isnan(draw.density):
        raise ValueError(f"the family {family} draws no material")
    # United where it was made: turned, faces that meet would no longer be equal to the last bit.
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
    """The objects of a set, one by one.

    The families take turns, so object `i` depends on the seed, on `i` and on the families, and not
    on the count: a larger set begins with the smaller one.

    Args:
        count: how many.
        seed: of the set, at least 0.
        families: keys of `FAMILIES`; all unless given.

    Raises:
        InputError: there is no such family, or none is named.
    """
    names = list(FAMILIES if families is None else families)
    if not names:
        raise InputError(f"a set needs a family, there are {', '.join(FAMILIES)}")
    for name in names:
        check_family(name)
    for index in range(count):
        yield make(names[index % len(names)], seed, index)


def as_of(
    obj: HouseholdObject, density: float | None = None, friction: float | None = None
) -> HouseholdObject:
    """The same shape of another material.

    Args:
        obj: what was made.
        density: kg/m³; its own unless given.
        friction: coefficient against a gripper's pads; its own unless given.

    Raises:
        InputError: a number is not positive and finite.
    """
    for name, value in (("density", density), ("friction", friction)):
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"the {name} of objects must be above 0 and finite, got {value}")
    own = float(obj.parameters["density"])
    given = own if density is None else density
    return replace(
        obj,
        mass=obj.mass * given / own,
        friction=obj.friction if friction is None else friction,
        parameters={**obj.parameters, "density": given},
    )


def scaled(obj: HouseholdObject, factor: float) -> HouseholdObject:
    """The same object, larger or smaller, about the file's origin, of the same material.

    Args:
        obj: what was made.
        factor: by which lengths grow.

    Raises:
        InputError: the factor is not positive and finite.
    """
    if not 0 < factor < math.inf:
        raise InputError(f"the scale of objects must be above 0 and finite, got {factor}")
    return replace(
        obj,
        vertices=factor * obj.vertices,
        parts=tuple(Polyhedron(factor * vertices, faces) for vertices, faces in obj.parts),
        mass=factor**3 * obj.mass,
        parameters={**obj.parameters, "scale": factor},
    )


def check_family(name: str) -> None:
    """Complain about a name that is no family's.

    Raises:
        InputError: there is no such family.
    """
    if name not in FAMILIES:
        raise InputError(f"there is no family {name!r}, there are {', '.join(FAMILIES)}")
