"""Antipodal grasps on solids with exactly known opposite contacts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from trimesh.creation import annulus, box, icosphere

from grasp.grippers.gripper import load_gripper
from grasp.judging.antipodal import Ranking, contact_area, sample_antipodal, scores
from grasp.judging.candidates import ANTIPODAL, NEAR_MISS, RIM, candidates, thickness
from grasp.judging.contacts import FRICTION, Contacts, antipodal_contacts
from grasp.objects.object import Object
from pcdiff.errors import InputError

CONE = math.atan(FRICTION)
STROKE = 0.08


def rng(seed=0):
    return np.random.default_rng(seed)


def of(mesh, name="object"):
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name=name)


@pytest.fixture(scope="module")
def panda():
    return load_gripper("panda")


PLATE = of(box((0.02, 0.3, 0.3)), "plate")
BLOCK = of(box((0.09, 0.1, 0.11)), "block")
BAR = of(box((0.02, 0.02, 0.2)), "bar")
TUBE = of(annulus(0.03, 0.034, 0.1, sections=64), "tube")


def free(obj, gripper, poses):
    return np.zeros(len(poses), bool)


def in_gripper(poses, points):
    """Transform points of the object (n, k, 3) into the frames of n grippers."""
    return np.einsum("nij,nki->nkj", poses[:, :3, :3], points - poses[:, None, :3, 3])


# --- Contacts -------------------------------------------------------------------------------------


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


def test_object_wider_than_the_stroke_has_no_contacts(panda):
    assert len(antipodal_contacts(BLOCK, STROKE, 100, rng())) == 0
    assert len(antipodal_contacts(BLOCK, 0.0901, 100, rng(), friction=1e-6)) == 100
    assert len(candidates(BLOCK, panda, 100, rng())) == 0
    grasps = sample_antipodal(BLOCK, panda, 100, rng(), collides=free)
    assert len(grasps) == 0
    assert grasps.reason == "no two opposite contacts on block within the 0.08 m that panda opens"


def test_lines_cross_one_wall_or_the_whole_tube():
    contacts = antipodal_contacts(TUBE, STROKE, 2000, rng())
    wall = contacts.width < 0.006
    assert 0.2 < wall.mean() < 0.95
    # The length of a chord at the angle θ to the radius is the diameter times cos θ.
    across, facet = contacts.width[~wall], math.pi / 64
    assert across.min() > 0.068 * math.cos(facet) * math.cos(CONE + facet)
    assert across.max() <= STROKE


def torn_plate():
    faces = np.array(PLATE.faces)
    faces = np.delete(faces, np.abs(PLATE.mesh().face_normals[:, 1]) > 0.5, axis=0)  # no lid
    faces[::2] = faces[::2, ::-1]
    return Object.from_mesh(np.array(PLATE.vertices), faces)


def folded_sheet(turned=False):
    """A sheet folded to an S, with plates at x = ±2 cm and 0; neither side is the outside."""
    half, gap = 0.1, 0.02
    path = [(gap, half), (gap, -half), (0, -half), (0, half), (-gap, half), (-gap, -half)]
    vertices = np.array([[x, y, z] for x, y in path for z in (-half, half)])
    quads = np.array([[i, i + 2, i + 3, i + 1] for i in range(0, 10, 2)])
    faces = np.concatenate([quads[:, [0, 1, 3]], quads[:, [3, 1, 2]]])
    return Object.from_mesh(vertices, faces[:, ::-1] if turned else faces)


def test_inconsistently_oriented_faces_still_have_contacts():
    contacts = antipodal_contacts(torn_plate(), STROKE, 500, rng())
    assert len(contacts) == 500
    np.testing.assert_allclose(
        np.sort(contacts.points[:, :, 0], axis=1), [[-0.01, 0.01]] * 500, atol=1e-12
    )
    assert contacts.angles.max() <= CONE + 1e-6


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


# --- Candidates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("obj", [PLATE, TUBE, BAR], ids=lambda obj: obj.name)
def test_the_hand_closes_on_the_contacts(obj, panda):
    found = candidates(obj, panda, 400, rng())
    rotation = found.poses[:, :3, :3]
    np.testing.assert_allclose(rotation.swapaxes(1, 2) @ rotation, [np.eye(3)] * 400, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-12)
    local = in_gripper(found.poses, found.contacts.points)
    half = found.contacts.width / 2
    np.testing.assert_allclose(
        np.sort(local[:, :, 0], axis=1), np.stack([-half, half], 1), atol=1e-12
    )
    np.testing.assert_allclose(local[:, :, 1], 0, atol=1e-12)
    np.testing.assert_allclose(local[:, :, 2], np.stack([found.depth] * 2, 1), atol=1e-12)
    assert found.depth.max() <= panda.pad[1]
    assert found.depth.min() >= 0.066  # the fingers begin where the hand ends
    assert 0.65 < (found.depth >= panda.pad[0]).mean() < 0.95


def test_approaches_and_lines_have_no_preferred_direction(panda):
    # Around a ball, all directions are equally free of collision.
    found = candidates(of(icosphere(4, 0.02)), panda, 3000, rng())
    for axis in (found.poses[:, :3, 0], found.poses[:, :3, 2]):
        np.testing.assert_allclose(axis.mean(axis=0), 0, atol=4 / math.sqrt(3 * 3000))
        np.testing.assert_allclose(axis.T @ axis / 3000, np.eye(3) / 3, atol=0.025)


def test_about_half_of_the_candidates_are_clear(panda):
    found = candidates(TUBE, panda, 1000, rng())
    points = TUBE.surface(8000, rng(1))[0]
    clear = np.ones(1000, bool)
    for index, pose in enumerate(found.poses):
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        for part in panda.boxes(panda.stroke):
            clear[index] &= not (np.abs(local - part.centre) < part.half_extents).all(axis=1).any()
    assert 0.35 < clear.mean() < 0.8


def test_no_kind_of_candidate_is_too_rare(panda):
    found = candidates(TUBE, panda, 1000, rng())
    np.testing.assert_array_equal(found.kinds == RIM, found.contacts.width < 0.006)
    assert 0.1 < (found.kinds == RIM).mean() < 0.8
    assert (candidates(PLATE, panda, 100, rng()).kinds == ANTIPODAL).all()
    # The rim makes up most of the surface of this block with a wide thin rim.
    dish = of(box((0.06, 0.06, 0.1)) + box((0.3, 0.3, 0.004)))
    assert (candidates(dish, panda, 500, rng()).kinds == ANTIPODAL).mean() > 0.2


def turned(obj, rotation):
    return Object.from_mesh(obj.vertices @ rotation.T, np.array(obj.faces), name=obj.name)


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


def test_thickness_of_a_ball_and_a_cube_matches_the_closed_form():
    assert thickness(of(icosphere(5, 0.03))) == pytest.approx(0.06, rel=2e-3)
    # Along one axis, a third of a unit cube's surface is at distance 1/2 from the centre and the
    # rest is uniform, so the variance is 5/36.
    cube = of(box((0.1, 0.1, 0.1)))
    assert thickness(cube) == pytest.approx(0.1 * math.sqrt(12 * 5 / 36), rel=1e-12)
    cloud = Object.from_points(*cube.surface(200_000, rng(1)))
    assert thickness(cloud) == pytest.approx(thickness(cube), rel=0.01)


def test_only_near_misses_are_moved(panda):
    found = candidates(PLATE, panda, 2000, rng(), near_misses=0.25)
    missed = found.kinds == NEAR_MISS
    assert abs(missed.mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)
    local = in_gripper(found.poses, found.contacts.points)
    middle = local.mean(axis=1) - np.stack([np.zeros(2000), np.zeros(2000), found.depth], axis=1)
    moved = np.linalg.norm(middle, axis=1)
    assert moved[~missed].max() < 1e-12
    assert 0.01 < np.median(moved[missed]) < 0.03
    closing = np.abs(np.einsum("ni,ni->n", found.poses[:, :3, 0], found.contacts.axis))
    np.testing.assert_allclose(closing[~missed], 1, atol=1e-12)
    assert (closing[missed] < 1 - 1e-6).all()
    turn = found.poses[missed, :3, :3]
    np.testing.assert_allclose(turn.swapaxes(1, 2) @ turn, [np.eye(3)] * missed.sum(), atol=1e-12)


def test_candidates_are_reproducible(panda):
    first, again, other = (
        candidates(TUBE, panda, 50, rng(seed), near_misses=0.2).poses for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_arguments_out_of_range_are_refused(panda):
    with pytest.raises(InputError, match="at least 1, got 0"):
        candidates(PLATE, panda, 0, rng())
    for friction in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="friction must be above 0"):
            candidates(PLATE, panda, 1, rng(), friction=friction)
    with pytest.raises(InputError, match=r"near misses must be 0 to 1, got 1.5"):
        candidates(PLATE, panda, 1, rng(), near_misses=1.5)


# --- The baseline ---------------------------------------------------------------------------------

ONLY = {"alignment": 0.0, "area": 0.0, "balance": 0.0, "room": 0.0}


def pair(*points, normals=((-1, 0, 0), (1, 0, 0))):
    points = np.array(points, float)
    return Contacts(points, np.array([normals] * len(points), float))


def poses_at(contacts, depth):
    """Poses of hands that approach from above, with the contacts at a given depth."""
    poses = np.zeros((len(contacts), 4, 4))
    poses[:, :3, :3] = np.diag([1.0, -1.0, -1.0])
    poses[:, :3, 3] = contacts.centre + np.array([0, 0, depth])
    poses[:, 3, 3] = 1
    return poses


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
