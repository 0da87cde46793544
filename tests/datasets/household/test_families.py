"""Every family, for some indices: closed, convex and exact; and special tests for a few."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from datasets.household import FAMILIES, make, make_set
from datasets.household.shapes import volume, yawed
from pcdiff.errors import InputError
from tests.datasets.household.geometry import bodies, hits, inside_any, is_closed, planes, winding

INDICES = (0, 1, 2)

# The pieces of these families meet but do not overlap, so their volumes add up.
WITHOUT_OVERLAP = {
    "banana", "bottle", "bowl", "box", "can", "crate", "dumbbell", "glass", "jar", "knob",
    "l_shape", "lightbulb", "plate", "ring", "rounded_block", "t_shape", "wineglass",
}  # fmt: skip


@functools.cache
def made(family, index, seed=0):
    return make(family, seed, index)


def first(family, seed=0, **wanted):
    """The first object of a family that drew the wanted values."""
    for index in range(100):
        thing = made(family, index, seed)
        if all(thing.parameters[name] == value for name, value in wanted.items()):
            return thing
    raise AssertionError(f"no {family} with {wanted}")


def upright(thing):
    """The surface with its yaw and offset undone, as the family made it."""
    parameters = thing.parameters
    surface = thing.vertices - [parameters["offset_x"], parameters["offset_y"], 0]
    cosine, sine = np.cos(parameters["yaw"]), np.sin(parameters["yaw"])
    return surface @ np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def centred_on_axis(thing):
    """Like `upright`, with the axis of revolution at 0, for a vessel with a handle along +x."""
    vertices = upright(thing)
    radius = np.abs(vertices[:, 1]).max()
    return vertices - np.array([vertices[:, 0].min() + radius, 0, 0])


def pappus(sides):
    return 2 * sides * np.tan(np.pi / sides)


def test_there_are_enough_families():
    assert len(FAMILIES) >= 15


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_surface_is_one_closed_body(family, index):
    thing = made(family, index)
    assert is_closed(thing.faces)
    assert bodies(thing.vertices, thing.faces) == 1
    # No two vertices are equal, so a program that merges equal vertices keeps a closed surface.
    assert len(np.unique(thing.vertices, axis=0)) == len(thing.vertices)
    assert thing.mass > 0


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_convex(family, index):
    for part in made(family, index).parts:
        assert is_closed(part.faces)
        assert volume(part) > 0
        normals, distances = planes(part)
        assert (part.vertices @ normals.T - distances).max() < 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_surface_encloses_exactly_the_parts(family):
    """Points 0.2 mm inside and outside the surface, which is fine enough for thin walls."""
    thing = made(family, 1)
    rng = np.random.default_rng(0)
    a, b, c = (thing.vertices[thing.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    areas = np.linalg.norm(normals, axis=1)
    face = rng.choice(len(areas), 150, p=areas / areas.sum())
    weights = rng.dirichlet((1, 1, 1), 150)
    corners = np.stack([a, b, c], axis=1)[face]
    surface = np.einsum("nk,nki->ni", weights, corners)
    beside = surface + rng.choice([-2e-4, 2e-4], 150)[:, None] * (normals / areas[:, None])[face]
    low, high = thing.vertices.min(axis=0), thing.vertices.max(axis=0)
    points = np.concatenate([beside, rng.uniform(low, high, (150, 3))])
    around = winding(thing.vertices, thing.faces, points)
    assert np.abs(around - around.round()).max() < 1e-6
    assert set(around.round()) <= {0, 1}
    assert np.array_equal(around > 0.5, inside_any(thing.parts, points))


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_volume_is_that_of_the_parts(family, index):
    thing = made(family, index)
    total, whole = sum(map(volume, thing.parts)), thing.mass / thing.parameters["density"]
    if family in WITHOUT_OVERLAP:
        assert whole == pytest.approx(total, rel=1e-9)
    else:
        largest = max(map(volume, thing.parts))
        assert largest * (1 - 1e-9) < whole < total * (1 + 1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_size_mass_and_place_are_sensible(family):
    for index in range(4):
        thing = made(family, index)
        low, high = thing.vertices.min(axis=0), thing.vertices.max(axis=0)
        assert 0.02 < (high - low).max() < 0.45
        assert (high - low).min() > 0.004
        assert 0.001 < thing.mass < 2
        assert 0.3 <= thing.friction <= 1.0
        assert low[2] == pytest.approx(0, abs=1e-12)
        # The middle of the bounding box, before the turn, is at the offset.
        middle = [thing.parameters["offset_x"], thing.parameters["offset_y"]]
        assert np.abs(middle).max() <= 0.05
        turned = upright(thing)
        centre = (turned.min(axis=0) + turned.max(axis=0)) / 2
        assert centre[:2] == pytest.approx(0, abs=1e-12)


def test_many_but_not_all_objects_fit_a_gripper_of_eight_centimetres():
    narrow = [
        np.ptp(upright(made(family, index)), axis=0).min() < 0.08
        for family in FAMILIES
        for index in INDICES
    ]
    assert 0.6 < np.mean(narrow) < 1


def test_object_depends_on_seed_and_index_alone():
    few, many = list(make_set(3, seed=7)), list(make_set(5, seed=7))
    for one, same in zip(few, many, strict=False):
        assert one.name == same.name
        assert one.parameters == same.parameters
        assert np.array_equal(one.vertices, same.vertices)
        assert np.array_equal(one.faces, same.faces)
        for part, other in zip(one.parts, same.parts, strict=True):
            assert np.array_equal(part.vertices, other.vertices)
    alone = make(many[4].family, 7, 4)
    assert np.array_equal(alone.vertices, many[4].vertices)
    assert made("mug", 0).parameters["radius"] != made("mug", 1).parameters["radius"]
    assert made("mug", 0).parameters["radius"] != made("mug", 0, 1).parameters["radius"]


def test_families_take_turns():
    names = [thing.family for thing in make_set(5, families=["ring", "box"])]
    assert names == ["ring", "box", "ring", "box", "ring"]


@pytest.mark.parametrize(
    ("families", "word"), [(["mug", "sofa"], "'sofa'"), ([], "families is empty")]
)
def test_unknown_family_is_named(families, word):
    with pytest.raises(InputError, match=word):
        list(make_set(1, families=families))


@pytest.mark.parametrize("index", INDICES)
def test_closed_forms_of_volumes(index):
    def check(thing, expected):
        assert thing.mass / thing.parameters["density"] == pytest.approx(expected, rel=1e-9)

    thing = made("box", index)
    p = thing.parameters
    check(thing, p["width"] * p["depth"] * p["height"])

    thing = made("l_shape", index)
    p = thing.parameters
    check(thing, p["thickness"] * p["depth"] * (p["thickness"] + p["long"] + p["short"]))

    thing = made("t_shape", index)
    p = thing.parameters
    check(thing, p["depth"] * (p["stem"] * p["length"] + p["thickness"] * (p["stem"] + p["bar"])))

    thing = made("crate", index)
    p = thing.parameters
    hollow = (p["width"] - 2 * p["wall"]) * (p["depth"] - 2 * p["wall"]) * (p["height"] - p["wall"])
    check(thing, p["width"] * p["depth"] * p["height"] - hollow)

    thing = first("ring", seed=index, style="flat")
    p = thing.parameters
    outer = p["inner_radius"] + p["wide"]
    check(thing, pappus(24) / 2 * (outer**2 - p["inner_radius"] ** 2) * p["height"])

    thing = first("can", seed=index, style="open")
    p = thing.parameters
    inner, hollow = p["radius"] - p["wall"], p["height"] - p["wall"]
    check(thing, pappus(24) / 2 * (p["radius"] ** 2 * p["height"] - inner**2 * hollow))


@pytest.mark.parametrize("index", INDICES)
def test_mug_is_open_and_its_walls_are_as_thick_as_drawn(index):
    thing = first("mug", seed=index, style="straight")
    p, vertices = thing.parameters, centred_on_axis(thing)
    scale = 0.5 if p["material"] == "steel" else 1.0
    wall, floor = scale * p["wall"], scale * p["floor"]
    down = hits(vertices, thing.faces, np.array([1e-4, 2e-4, 1.0]), (0, 0, -1))
    assert 1 - down[[0, -1]] == pytest.approx([floor, 0], abs=1e-9)
    # Rays go outwards from the axis, also at the height of the handle, whose ends stay in the wall.
    for height in np.linspace(0.05, 0.95, 10) * p["height"]:
        if height <= floor:
            continue
        for turn in range(24):
            angle = turn * np.pi / 12
            direction = np.array([np.cos(angle), np.sin(angle), 0])
            aside = 1e-4 * np.array([-direction[1], direction[0], 0])
            distances = hits(vertices, thing.faces, aside + np.array([0, 0, height]), direction)
            assert distances[0] == pytest.approx(p["radius"] - wall, abs=1e-9)
            if turn > 3 and turn < 21:
                assert distances[1] == pytest.approx(p["radius"], abs=1e-9)


@pytest.mark.parametrize("index", INDICES)
def test_a_finger_fits_through_the_handle_of_a_mug(index):
    thing = first("mug", seed=index, style="straight")
    p, vertices = thing.parameters, centred_on_axis(thing)
    middle = (p["handle_low"] + p["handle_high"]) / 2 * p["height"]
    through = p["radius"] + (p["handle_reach"] - p["handle_thickness"] / 2) / 2
    origin = np.array([through, -0.2, middle])
    assert hits(vertices, thing.faces, origin, (0, 1, 0)).size == 0
    # Further out the ray meets the bar of the handle, which is as wide as drawn.
    origin[0] = p["radius"] + p["handle_reach"]
    entry, leaving = hits(vertices, thing.faces, origin, (0, 1, 0))
    assert leaving - entry == pytest.approx(p["handle_width"], abs=1e-9)


def test_undoing_yaw_and_offset_of_a_box_aligns_it():
    thing = made("box", 0)
    size = [thing.parameters[name] for name in ("width", "depth", "height")]
    assert np.ptp(upright(thing), axis=0) == pytest.approx(size, abs=1e-12)
    (part,) = yawed(thing.parts, -thing.parameters["yaw"])
    assert np.ptp(part.vertices, axis=0) == pytest.approx(size, abs=1e-12)
