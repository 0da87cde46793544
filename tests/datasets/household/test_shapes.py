"""Pieces and solids, compared with closed forms: volumes, thicknesses and distances."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.household.shapes import (
    Polyhedron,
    arc,
    box,
    convex_hull,
    ellipse,
    frustum,
    glued,
    inner_profile,
    lathe,
    mapped,
    moved,
    revolve,
    rounded_rectangle,
    shell,
    sweep,
    union,
    volume,
    yawed,
)
from tests.datasets.household.geometry import bodies, hits, is_closed, planes

PROFILE = [(0.0, 0.0), (0.03, 0.0), (0.04, 0.03), (0.043, 0.06), (0.036, 0.1)]


def pappus(sides):
    """The counterpart of 2π for a polygon around its inscribed circle."""
    return 2 * sides * np.tan(np.pi / sides)


def frusta(profile, sides):
    """The volume of a profile's solid of revolution, frustum by frustum."""
    (r0, z0), (r1, z1) = np.transpose(profile)[:, :-1], np.transpose(profile)[:, 1:]
    return pappus(sides) / 2 * np.sum((z1 - z0) * (r0**2 + r0 * r1 + r1**2)) / 3


def assert_convex(piece):
    assert is_closed(piece.faces)
    assert volume(piece) > 0
    normals, distances = planes(piece)
    assert (piece.vertices @ normals.T - distances).max() < 1e-12


def test_box_has_the_product_of_its_sides_as_its_volume():
    piece = box((0.1, -0.2, 0.3), (0.3, 0.1, 0.7))
    assert_convex(piece)
    assert volume(piece) == pytest.approx(0.2 * 0.3 * 0.4, rel=1e-14)


def test_frustum_of_two_squares():
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    piece = frustum(square, 0.5 * square, 0.0, 3.0, shift=(0.2, -0.1))
    assert_convex(piece)
    assert volume(piece) == pytest.approx(3.0 / 3 * (4 + 1 + 2), rel=1e-14)


def test_rounded_rectangle_is_convex_and_has_its_size():
    corners = rounded_rectangle(0.5, 0.3, 0.1, 4)
    assert np.ptp(corners, axis=0) == pytest.approx([0.5, 0.3], abs=1e-15)
    along = np.roll(corners, -1, axis=0) - corners
    turn = along[:, 0] * np.roll(along, -1, axis=0)[:, 1]
    turn = turn - along[:, 1] * np.roll(along, -1, axis=0)[:, 0]
    assert (turn > -1e-15).all()


@pytest.mark.parametrize("sides", [8, 24])
def test_ellipse_is_as_wide_between_its_facets_as_asked_for(sides):
    corners = ellipse(0.06, 0.02, sides)
    assert np.ptp(corners, axis=0) == pytest.approx([0.06, 0.02], abs=1e-15)


@pytest.mark.parametrize("sides", [5, 24])
def test_revolved_section_obeys_pappus(sides):
    section = [(0.02, 0.0), (0.05, 0.01), (0.03, 0.04)]
    pieces = revolve(section, sides)
    assert len(pieces) == sides
    for piece in pieces:
        assert_convex(piece)
    area, radius = 0.5 * (0.03 * 0.04 - 0.01 * 0.01), (0.02 + 0.05 + 0.03) / 3
    expected = pappus(sides) * radius * area
    assert sum(map(volume, pieces)) == pytest.approx(expected, rel=1e-13)
    whole = union(pieces)
    assert is_closed(whole.faces)
    assert volume(whole) == pytest.approx(expected, rel=1e-12)


def test_convex_solid_of_revolution_is_one_piece():
    (ball,) = lathe(arc(0.03, -np.pi / 2, np.pi / 2, 12), 20)
    assert_convex(ball)
    assert volume(ball) == pytest.approx(
        frusta(arc(0.03, -np.pi / 2, np.pi / 2, 12), 20), rel=1e-12
    )


@pytest.mark.parametrize("seed", range(6))
def test_lathe_cuts_any_profile_into_convex_pieces_of_the_right_volume(seed):
    rng = np.random.default_rng(seed)
    radii = rng.uniform(0.01, 0.05, 9)
    heights = np.cumsum(rng.uniform(0.001, 0.02, 9))
    heights[3] = heights[4]  # a step
    heights[6] = heights[7] + 1e-18  # a step that rounding made
    profile = list(zip(radii, heights, strict=True))
    pieces = lathe(profile, 12)
    for piece in pieces:
        assert_convex(piece)
    assert sum(map(volume, pieces)) == pytest.approx(frusta(profile, 12), rel=1e-12)
    whole = union(pieces)
    assert is_closed(whole.faces)
    assert bodies(*whole) == 1
    assert volume(whole) == pytest.approx(frusta(profile, 12), rel=1e-9)


def test_inner_profile_is_at_the_thickness_from_each_segment():
    outer, inner = np.array(PROFILE), inner_profile(PROFILE, [0.006, 0.003, 0.002, 0.004])
    for i, thickness in enumerate([0.006, 0.003, 0.002, 0.004]):
        along = outer[i + 1] - outer[i]
        left = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        assert (inner[i : i + 2] - outer[i]) @ left == pytest.approx(thickness, abs=1e-15)


def test_too_thick_a_wall_is_refused():
    with pytest.raises(ValueError, match="too thick"):
        shell([(0.0, 0.0), (0.03, 0.0), (0.04, 0.005), (0.03, 0.01)], 0.012, 24)


def test_shell_has_exactly_its_thickness_and_is_open_at_the_top():
    walls = [0.006, 0.003, 0.002, 0.004]
    pieces = shell(PROFILE, walls, 24)
    for piece in pieces:
        assert_convex(piece)
    whole = union(pieces)
    assert is_closed(whole.faces)
    assert volume(whole) == pytest.approx(sum(map(volume, pieces)), rel=1e-12)
    # Down the axis there is only the floor.
    down = hits(*whole, np.array([1e-4, 2e-4, 1.0]), (0, 0, -1))
    assert np.unique(down.round(12)) == pytest.approx([1 - 0.006, 1.0], abs=1e-12)
    # Rays cross the wall at right angles, in the middle of the facets at azimuths 0 and 90 degrees.
    outer = np.array(PROFILE)
    for i in (1, 2, 3):
        middle, along = (outer[i] + outer[i + 1]) / 2, outer[i + 1] - outer[i]
        left = np.array([-along[1], along[0]]) / np.linalg.norm(along)
        start = middle - 0.01 * left
        for origin, direction in (
            ((start[0], 1e-4, start[1]), (left[0], 0, left[1])),
            ((1e-4, start[0], start[1]), (0, left[0], left[1])),
        ):
            entry, leaving = hits(*whole, np.array(origin), direction)[:2]
            assert entry == pytest.approx(0.01, abs=1e-12)
            assert leaving - entry == pytest.approx(walls[i], abs=1e-12)


def test_mitred_bar_has_the_volume_of_a_straight_one():
    path = [(0, 0, 0), (0.03, 0, 0), (0.05, 0, 0.02), (0.05, 0, 0.06)]
    bar = sweep(path, ellipse(0.01, 0.006, 8), (0, 1, 0))
    for piece in bar:
        assert_convex(piece)
    area = volume(
        convex_hull(np.concatenate([np.c_[ellipse(0.01, 0.006, 8), [z] * 8] for z in (0, 1)]))
    )
    length = 0.03 + 0.02 * np.sqrt(2) + 0.04
    assert sum(map(volume, bar)) == pytest.approx(area * length, rel=1e-12)
    assert volume(union(bar)) == pytest.approx(area * length, rel=1e-12)


def test_too_thick_a_bar_is_refused():
    with pytest.raises(ValueError, match="too thick"):
        sweep([(0, 0, 0), (0.01, 0, 0), (0.01, 0, 0.01)], ellipse(0.03, 0.01, 8), (0, 1, 0))


def test_pieces_that_share_faces_are_glued_without_them():
    lower, upper = box((0, 0, 0), (1, 1, 1)), box((0, 0, 1), (1, 1, 2))
    (body,) = glued([lower, upper])
    assert is_closed(body.faces)
    assert len(body.faces) == 20
    assert volume(body) == pytest.approx(2)
    assert len(glued([lower, moved([upper], (0, 0, 1))[0]])) == 2


def test_union_counts_what_overlaps_once():
    cubes = [box((0, 0, 0), (2, 2, 2)), box((1, 1, 1), (3, 3, 3))]
    whole = union(cubes)
    assert is_closed(whole.faces)
    assert volume(whole) == pytest.approx(8 + 8 - 1, rel=1e-12)


def test_union_refuses_what_is_not_closed():
    cube = box((0, 0, 0), (1, 1, 1))
    with pytest.raises(ValueError, match="not a closed polyhedron"):
        union([Polyhedron(cube.vertices, cube.faces[:-1])])


def test_mirror_image_and_turn_keep_volume_and_outside():
    pieces = lathe([(0.01, 0.0), (0.03, 0.02), (0.02, 0.05)], 12)
    for image in (mapped(pieces, np.diag([-1.0, 1.0, 1.0])), yawed(pieces, 0.7)):
        for piece in image:
            assert_convex(piece)
        assert sum(map(volume, image)) == pytest.approx(sum(map(volume, pieces)), rel=1e-13)


def test_hull_of_points_on_a_cube_is_the_cube():
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (60, 3))
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    hull = convex_hull(np.concatenate([points, corners]))
    assert_convex(hull)
    assert len(hull.vertices) == 8
    assert volume(hull) == pytest.approx(8, rel=1e-14)
    assert convex_hull(points * [1, 1, 0]) is None
