"""Antipodal contacts on solids with exactly known opposite contacts."""

from __future__ import annotations

import math

import numpy as np
from trimesh.creation import box, icosphere

from grasp.judging.contacts import FRICTION, antipodal_contacts
from grasp.objects.object import Object
from tests.judging.solids import (
    PLATE,
    TUBE,
    of,
    rng,
    torn_plate,
)

CONE = math.atan(FRICTION)
STROKE = 0.08


def test_contacts_of_a_plate_are_on_its_two_faces():
    contacts = antipodal_contacts(PLATE, STROKE, 500, rng())
    assert len(contacts) == 500
    x = contacts.points[:, :, 0]
    np.testing.assert_allclose(np.sort(x, axis=1), [[-0.01, 0.01]] * 500, atol=1e-12)
    np.testing.assert_allclose(contacts.normals[:, :, 0], np.sign(x), atol=1e-12)
    # The line is inclined to the normal, so it is longer than the plate is thick.
    np.testing.assert_allclose(contacts.width * np.cos(contacts.angles[:, 0]), 0.02, atol=1e-9)
    np.testing.assert_allclose(contacts.angles[:, 0], contacts.angles[:, 1], atol=1e-6)
    np.testing.assert_allclose(contacts.centre[:, 0], 0, atol=1e-12)
    assert contacts.angles.max() <= CONE + 1e-6


def test_without_friction_the_width_is_the_thickness():
    contacts = antipodal_contacts(PLATE, STROKE, 200, rng(), friction=1e-6)
    np.testing.assert_allclose(contacts.width, 0.02, atol=1e-12)
    np.testing.assert_allclose(np.abs(contacts.axis[:, 0]), 1, atol=1e-11)


def test_lines_through_a_sphere_pass_near_its_centre():
    radius, facet = 0.03, math.radians(3)
    contacts = antipodal_contacts(of(icosphere(4, radius)), STROKE, 2000, rng())
    apart = np.linalg.norm(np.cross(contacts.centre, contacts.axis), axis=1)
    assert apart.max() <= radius * math.sin(CONE + facet)
    np.testing.assert_allclose(apart, radius * np.sin(contacts.angles[:, 0]), atol=radius * facet)


def test_lines_are_uniform_in_the_cone():
    # Apart from a few at the edges, each line leaves through the opposite face at the same angle.
    # So cos θ is uniform between cos α and 1.
    contacts = antipodal_contacts(of(box((0.02, 5.0, 5.0))), STROKE, 2000, rng())
    cosine, low = np.cos(contacts.angles[:, 0]), math.cos(CONE)
    assert abs(cosine.mean() - (1 + low) / 2) < 4 * (1 - low) / math.sqrt(12 * 2000)
    assert abs(cosine.var() - (1 - low) ** 2 / 12) < 0.1 * (1 - low) ** 2 / 12


def test_first_contacts_are_uniform_on_the_surface():
    # One of the three slabs is as large as the other two together.
    parts = [box((0.02, 0.2, 0.2)), box((0.02, 0.2, 0.1)), box((0.02, 0.2, 0.1))]
    for index, part in enumerate(parts):
        part.apply_translation((0.5 * index, 0, 0))
    contacts = antipodal_contacts(of(parts[0] + parts[1] + parts[2]), STROKE, 4000, rng())
    share = (contacts.points[:, 0, 0] < 0.25).mean()
    assert (
        abs(share - 0.5) < 4 * math.sqrt(0.25 / 4000) + 0.01
    )  # small slabs lose more at their edges


def test_lines_cross_one_wall_or_the_whole_tube():
    contacts = antipodal_contacts(TUBE, STROKE, 2000, rng())
    wall = contacts.width < 0.006
    assert 0.2 < wall.mean() < 0.95
    # The length of a chord at the angle θ to the radius is the diameter times cos θ.
    across, facet = contacts.width[~wall], math.pi / 64
    assert across.min() > 0.068 * math.cos(facet) * math.cos(CONE + facet)
    assert across.max() <= STROKE


def test_inconsistently_oriented_faces_still_have_contacts():
    contacts = antipodal_contacts(torn_plate(), STROKE, 500, rng())
    assert len(contacts) == 500
    np.testing.assert_allclose(
        np.sort(contacts.points[:, :, 0], axis=1), [[-0.01, 0.01]] * 500, atol=1e-12
    )
    assert contacts.angles.max() <= CONE + 1e-6


def test_contacts_on_a_cloud_are_points_of_the_cloud():
    points, normals = PLATE.surface(3000, rng(5))
    cloud = Object.from_points(points, normals)
    contacts = antipodal_contacts(cloud, STROKE, 500, rng())
    assert len(contacts) == 500
    np.testing.assert_allclose(
        np.sort(contacts.points[:, :, 0], axis=1), [[-0.01, 0.01]] * 500, atol=1e-12
    )
    assert contacts.angles.max() <= CONE + 1e-6
    rows = {tuple(row) for row in cloud.vertices.tolist()}
    assert all(tuple(row) in rows for row in contacts.points.reshape(-1, 3).tolist())


def test_one_side_of_a_plate_has_no_contacts():
    points, normals = PLATE.surface(3000, rng(5))
    seen = normals[:, 0] > 0.5
    assert (
        len(antipodal_contacts(Object.from_points(points[seen], normals[seen]), STROKE, 9, rng()))
        == 0
    )
