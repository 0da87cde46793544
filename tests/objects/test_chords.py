"""The shortest chord along which a jaw can close, against shapes whose chords are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from trimesh.creation import annulus, box, cone, cylinder, icosphere

from grasp.objects.chords import narrowest_chord
from grasp.objects.object import Object
from pcdiff.errors import InputError


def of(mesh, turn=None):
    vertices = np.array(mesh.vertices)
    return Object.from_mesh(vertices if turn is None else vertices @ turn.T, np.array(mesh.faces))


@pytest.mark.parametrize(
    ("mesh", "chord"),
    [
        (box((0.09, 0.1, 0.12)), 0.09),
        (annulus(0.03, 0.034, 0.07), 0.004 * math.cos(math.pi / 32)),
        (cylinder(0.05, 0.3, sections=64), 0.1 * math.cos(math.pi / 64)),
    ],
    ids=["box", "cup", "cylinder"],
)
def test_the_shortest_chord_is_the_width_between_opposite_faces(mesh, chord):
    assert narrowest_chord(of(mesh)) == pytest.approx(chord, rel=2e-3)


def test_chords_of_a_ball_are_its_diameter():
    assert narrowest_chord(of(icosphere(4, 0.045))) == pytest.approx(0.09, rel=0.01)


def test_the_chord_does_not_depend_on_the_frame():
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    mesh = box((0.06, 0.1, 0.12))
    assert narrowest_chord(of(mesh, turn)) == pytest.approx(0.06, abs=1e-9)


def test_faces_that_meet_at_a_wide_angle_are_no_pair():
    """The sides of a flat cone are far from parallel, so no chord ends within 45° of the normal."""
    flat = of(cone(0.1, 0.02, sections=64))
    steep = of(cone(0.01, 0.2, sections=64))
    assert narrowest_chord(steep) < 0.02
    # Down from the side to the base: at most the height, and nearly parallel.
    assert narrowest_chord(flat) < 0.02


def test_an_open_sheet_counts_from_both_sides():
    mesh = box((0.09, 0.1, 0.12))
    opened = Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces)[1:])
    assert narrowest_chord(opened) == pytest.approx(0.09, rel=2e-3)


def test_a_cloud_has_no_chords():
    cloud = Object.from_points(*of(box((0.1, 0.1, 0.1))).surface(100, np.random.default_rng(0)))
    with pytest.raises(InputError, match="is a point cloud, which has no chords"):
        narrowest_chord(cloud)
