"""The antipodal baseline: collisions, contact area and ranking."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from trimesh.creation import box

from grasp.judging.antipodal import Ranking, contact_area, sample_antipodal, scores
from grasp.judging.candidates import RIM, candidates, thickness
from grasp.judging.contacts import FRICTION, Contacts, antipodal_contacts
from grasp.objects.object import Object
from pcdiff.errors import InputError
from tests.judging.solids import (
    BAR,
    BLOCK,
    PLATE,
    folded_sheet,
    of,
    pair,
    poses_at,
    rng,
    torn_plate,
    turned,
)

CONE = math.atan(FRICTION)
STROKE = 0.08
ONLY = {"alignment": 0.0, "area": 0.0, "balance": 0.0, "room": 0.0}


def free(obj, gripper, poses):
    return np.zeros(len(poses), bool)


def test_object_wider_than_the_stroke_has_no_contacts(panda):
    assert len(antipodal_contacts(BLOCK, STROKE, 100, rng())) == 0
    assert len(antipodal_contacts(BLOCK, 0.0901, 100, rng(), friction=1e-6)) == 100
    assert len(candidates(BLOCK, panda, 100, rng())) == 0
    grasps = sample_antipodal(BLOCK, panda, 100, rng(), collides=free)
    assert len(grasps) == 0
    assert grasps.reason == "block has no two opposite contacts within 0.08 m, the stroke of panda"


@pytest.mark.parametrize("turned", [False, True])
def test_a_sheet_with_unknown_outside_is_touched_from_both_sides(panda, turned):
    sheet = folded_sheet(turned)
    assert not sheet.sided.any()
    contacts = antipodal_contacts(sheet, STROKE, 500, rng())
    assert len(contacts) == 500
    # The side of the first contact is random: as many lines start towards +x as towards -x.
    across = contacts.points[(np.ptp(contacts.points[:, :, 0], axis=1) > 0.039)]
    assert len(across) > 20
    middle = contacts.points[np.abs(contacts.points[:, 0, 0]) < 1e-9, 1, 0]
    assert 0.3 < (middle > 0).mean() < 0.7
    pairs = pair([(-0.02, 0, 0), (0.02, 0, 0)], [(-0.02, 0, 0.05), (0.02, 0, 0.05)])
    area = contact_area(sheet, panda, poses_at(pairs, panda.pad[1]), pairs.width)
    np.testing.assert_array_equal(area, 1)


def test_open_meshes_may_be_wound_inside_out(panda):
    faces = np.array(PLATE.faces)
    faces = np.delete(faces, np.abs(PLATE.mesh().face_normals[:, 1]) > 0.5, axis=0)
    pairs = pair([(-0.01, 0, 0), (0.01, 0, 0)])
    poses = poses_at(pairs, panda.pad[1])
    for oriented in (faces, faces[:, ::-1], np.array(torn_plate().faces)):
        plate = Object.from_mesh(np.array(PLATE.vertices), oriented)
        assert len(antipodal_contacts(plate, STROKE, 200, rng())) == 200
        assert contact_area(plate, panda, poses, pairs.width) == 1


def test_orientation_in_the_file_does_not_matter(panda):
    # A quarter of the smallest side of the axis-aligned bounding box would depend on the yaw.
    wide = of(box((0.02, 0.3, 0.3)) + box((0.06, 0.06, 0.3)))
    rotation = np.linalg.qr(rng(4).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    yaw = np.array([[1, -1, 0], [1, 1, 0], [0, 0, math.sqrt(2)]]) / math.sqrt(2)
    for turn in (yaw, rotation):
        assert thickness(turned(wide, turn)) == pytest.approx(thickness(wide), rel=1e-9)
    # Rounding may change the order of the contacts, so only the shares are compared.
    shares = [
        (candidates(each, panda, 1000, rng()).kinds == RIM).mean()
        for each in (wide, turned(wide, yaw))
    ]
    assert abs(shares[0] - shares[1]) < 0.1
    contacts = pair([(-0.01, 0, 0), (0.01, 0, 0)], [(-0.01, 0, 0.05), (0.01, 0, 0.05)])
    poses = poses_at(contacts, 0.1)
    ranking = Ranking(**ONLY | {"balance": 1.0})
    straight = scores(BAR, panda, poses, contacts, FRICTION, ranking)
    aside = Contacts(contacts.points @ yaw.T, contacts.normals @ yaw.T)
    there = poses.copy()
    there[:, :3] = yaw @ poses[:, :3]
    found = scores(turned(BAR, yaw), panda, there, aside, FRICTION, ranking)
    np.testing.assert_allclose(found, straight, atol=1e-12)


def test_each_property_of_the_ranking_has_its_exact_value(panda):
    slant = 0.02 * math.tan(CONE / 2)
    contacts = pair(
        [(-0.01, 0, 0), (0.01, 0, 0)],  # through the centre
        [(-0.01, 0, 0.05), (0.01, 0, 0.05)],  # halfway to the end
        [(-0.01, 0, -0.099), (0.01, 0, -0.099)],
        [(-0.01, 0, -slant / 2), (0.01, 0, slant / 2)],  # halfway to the edge of the cone
    )
    poses = poses_at(contacts, 0.1)

    def ranked(**weights):
        return scores(BAR, panda, poses, contacts, FRICTION, Ranking(**ONLY | weights))

    far = math.hypot(0.01, 0.01, 0.1)  # distance to a corner of the bar
    np.testing.assert_allclose(
        ranked(balance=2.0), [2, 2 - 0.1 / far, 2 - 0.198 / far, 2], atol=1e-12
    )
    np.testing.assert_allclose(ranked(alignment=1.0), [1, 1, 1, 0.5], atol=1e-9)
    widths = [0.02, 0.02, 0.02, 0.02 / math.cos(CONE / 2)]
    np.testing.assert_allclose(ranked(room=1.0), 1 - np.array(widths) / 0.08, atol=1e-12)
    together = ranked(balance=1.0, alignment=0.5, room=0.25)
    apart = ranked(balance=1.0) + ranked(alignment=0.5) + ranked(room=0.25)
    np.testing.assert_allclose(together, apart, atol=1e-12)


@pytest.mark.parametrize("form", ["mesh", "cloud"])
def test_contact_area_is_the_share_of_the_pad_on_the_object(panda, form):
    # The hands approach the upper edge of a plate from above. A pad is 17.6 mm high, so the covered
    # share is the depth of its tip below the edge over 17.6 mm.
    plate = PLATE if form == "mesh" else Object.from_points(*PLATE.surface(40_000, rng(3)))
    below = np.array([0.03, 0.0176, 0.0132, 0.0088, 0.0044, -0.02])
    contacts = pair(*[[(-0.01, 0, 0.15 - d), (0.01, 0, 0.15 - d)] for d in below])
    poses = poses_at(contacts, panda.pad[1])
    area = contact_area(plate, panda, poses, contacts.width)
    # The grid has five rows of points; on the cloud, the edge is blurred by one row.
    tolerance = 0.1 if form == "mesh" else 0.21
    np.testing.assert_allclose(area, [1, 1, 0.75, 0.5, 0.25, 0], atol=tolerance)
    shifted = poses.copy()
    shifted[:, 0, 3] += 0.005  # moves one pad off the surface
    assert contact_area(plate, panda, shifted, contacts.width).max() == 0
    turned = poses.copy()
    turned[:, :3, :3] = poses[:, :3, :3] @ np.diag([-1.0, -1.0, 1.0])
    np.testing.assert_array_equal(contact_area(plate, panda, turned, contacts.width), area)


@pytest.mark.parametrize("form", ["mesh", "cloud"])
def test_an_edge_between_the_pads_has_no_contact_area(panda, form):
    # The bar is turned by 45° about the approach, so its edges touch the pads but its sides do not.
    yaw = np.array([[1, -1, 0], [1, 1, 0], [0, 0, math.sqrt(2)]]) / math.sqrt(2)
    bar = turned(BAR, yaw)
    if form == "cloud":
        bar = Object.from_points(*bar.surface(40_000, rng(3)))
    edge = 0.01 * math.sqrt(2)
    contacts = pair([(-edge, 0, 0), (edge, 0, 0)])
    poses = poses_at(contacts, panda.pad[1])
    assert contact_area(bar, panda, poses, contacts.width) == 0


def test_the_default_ranking_rewards_each_property():
    weights = dataclasses.astuple(Ranking())
    assert min(weights) > 0
    assert sum(weights) == pytest.approx(1)


def test_the_width_of_each_grasp_is_the_distance_of_its_contacts(panda):
    # The width of a grasp on this wedge depends on its position along the wedge.
    wedge = of(box((0.04, 0.03, 0.2)))
    vertices = np.array(wedge.vertices)
    vertices[:, 0] *= 0.75 + 2.5 * vertices[:, 2]  # 2 to 4 cm
    wedge = Object.from_mesh(vertices, np.array(wedge.faces))
    grasps = sample_antipodal(
        wedge, panda, 200, rng(), ranking=Ranking(**ONLY | {"room": 1.0}), collides=free
    )
    assert (np.diff(grasps.width) >= 0).all() and np.ptp(grasps.width) > 0.01
    across = np.abs(grasps.poses[:, 1, 0]) > 0.8  # grasps between the two parallel sides
    np.testing.assert_allclose(
        grasps.width[across] * np.abs(grasps.poses[across, 1, 0]), 0.03, atol=1e-9
    )
    assert 20 < across.sum() < 180


def test_ranking_prefers_lines_through_the_centre(panda):
    grasps = sample_antipodal(
        BAR, panda, 300, rng(), ranking=Ranking(**ONLY | {"balance": 1.0}), collides=free
    )
    assert len(grasps) == 300
    # The tool centre point is close to the contacts.
    tip = grasps.poses[:, 2, 3] + panda.tool_center_point[2] * grasps.poses[:, 2, 2]
    assert np.abs(tip)[:50].mean() < 0.5 * np.abs(tip)[-50:].mean()


def test_the_baseline_drops_grasps_in_collision(panda):
    def below(obj, gripper, poses):
        return poses[:, 2, 3] < 0

    grasps = sample_antipodal(BAR, panda, 100, rng(), collides=below)
    assert len(grasps) == 100
    assert grasps.poses[:, 2, 3].min() >= 0
    assert grasps.reason is None
    assert (grasps.gripper, grasps.object_sha256) == ("panda", BAR.sha256)
    assert not grasps.in_collision.any()

    def nearly_all(obj, gripper, poses):
        return np.arange(len(poses)) != 7

    few = sample_antipodal(BAR, panda, 100, rng(), collides=nearly_all)
    assert len(few) == 8  # 1 of each 200 candidates, 1600 in all
    assert few.reason == "only 8 of 1600 antipodal candidates are free of collision"
    none = sample_antipodal(BAR, panda, 10, rng(), collides=lambda o, g, p: np.ones(len(p), bool))
    assert len(none) == 0 and none.reason == (
        "only 0 of 160 antipodal candidates are free of collision"
    )


@pytest.mark.parametrize("count", [0, -3])
def test_a_count_below_one_is_bad_input(panda, count):
    with pytest.raises(InputError, match=f"must be at least 1, got {count}"):
        sample_antipodal(BAR, panda, count, rng())
