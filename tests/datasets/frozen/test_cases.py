"""What the cases of the sets promise, against independent computations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trimesh
from scipy.spatial import ConvexHull, cKDTree

from datasets.frozen.large import check_convex, narrowest, shape
from datasets.frozen.resting import centre_of_mass, resting_poses
from datasets.frozen.rough import TOLERANCE, Damage, damaged
from datasets.frozen.sets import noisy_view
from datasets.frozen.splits import read_splits
from datasets.household import make
from datasets.household.objects import scaled
from datasets.household.shapes import Polyhedron, shell, union
from grasp.judging.antipodal import sample_antipodal
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.signed_distances import signed_distance
from pcdiff.errors import InputError

SETS = read_splits().sets


def loaded(mesh, name="object"):
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name=name)


def household(set_name, family):
    return loaded(make(family, SETS[set_name]["seed"]), family)


# --- Resting --------------------------------------------------------------------------------------


def check_rests(obj, pose):
    """The lowest point touches the table, and the centre of mass is above the contacts."""
    placed = obj.vertices @ pose[:3, :3].T + pose[:3, 3]
    assert abs(placed[:, 2].min()) < 1e-6
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-8)
    mesh = trimesh.Trimesh(placed, np.array(obj.faces), process=False)
    centre = mesh.center_mass if mesh.is_watertight else centre_of_mass(loaded(mesh))
    contacts = placed[placed[:, 2] < 2e-5][:, :2]
    # The centre is inside the polygon of the contacts if it is on the inner side of every edge.
    polygon = ConvexHull(contacts)
    assert (polygon.equations @ [*centre[:2], 1]).max() < -0.0009
    np.testing.assert_allclose(centre[:2], 0, atol=1e-6)


@pytest.mark.parametrize("family", SETS["resting"]["families"])
def test_household_objects_rest(family):
    obj = household("resting", family)
    rests = resting_poses(obj, 2)
    assert rests
    for rest in rests:
        check_rests(obj, rest.T_table_object)
    if len(rests) == 2:
        assert rests[0].share >= rests[1].share
        ups = [rest.T_table_object[2, :3] for rest in rests]
        assert ups[0] @ ups[1] < np.cos(np.radians(20))


def test_scanned_objects_rest(shared_data):
    for name in SETS["resting"]["scanned"]:
        obj = load_object(shared_data / f"object_sim/{name}/{name}.stl")
        for rest in resting_poses(obj, 2):
            check_rests(obj, rest.T_table_object)


def test_shares_of_a_brick_are_the_solid_angles_of_its_sides():
    """The faces of a brick in opposite pairs; the angles sum to the whole sphere."""
    brick = loaded(trimesh.creation.box((0.04, 0.06, 0.1)))
    rests = resting_poses(brick, 6)
    heights = [round(float(rest.T_table_object[2, 3]), 4) for rest in rests]
    assert heights == [0.02, 0.03, 0.05]
    assert sum(rest.share for rest in rests) == pytest.approx(1, abs=1e-5)
    a, b, h = 0.03, 0.05, 0.02  # the solid angle of a rectangle is known in closed form
    angle = 4 * np.arcsin(a * b / np.sqrt((a * a + h * h) * (b * b + h * h)))
    assert rests[0].share == pytest.approx(2 * angle / (4 * np.pi), abs=1e-6)


def test_a_ball_rests_nowhere():
    with pytest.raises(InputError, match="object rests on no face of its convex hull"):
        resting_poses(loaded(trimesh.creation.icosphere(4, 0.03)), 1)


# --- Views ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["crate", "spectacles", "wineglass"])
def test_views_are_in_the_frame_of_the_truth(family):
    """Points are within the noise of the camera of the surface, on the side that it sees."""
    truth = household("views", family)
    surface, _ = truth.surface(200_000, np.random.default_rng(1))
    for number in range(2):
        view = noisy_view(truth, 0.7, np.random.default_rng(number))
        seen = view.in_object()
        away = cKDTree(surface).query(seen.vertices)[0]
        assert len(seen.vertices) > 300
        assert np.quantile(away, 0.9) < 0.004
        assert away.max() < 0.03
        # The border shows that no part of the object is cut off.
        assert not view.mask[[0, -1]].any()
        assert not view.mask[:, [0, -1]].any()


# --- Too large ------------------------------------------------------------------------------------


def smallest_width(points):
    """The smallest width of a convex hull, from all pairs of its vertices and its planes.

    It lies across a face, or across two edges. The exact value over faces is an upper bound; the
    edges are covered by random directions.
    """
    hull = ConvexHull(points)
    corners = points[hull.vertices]
    random = np.random.default_rng(0).normal(size=(4000, 3))
    directions = [hull.equations[:, :3], random / np.linalg.norm(random, axis=1, keepdims=True)]
    return min(np.ptp(corners @ some.T, axis=0).min() for some in directions)


def too_large():
    for name, (kind, *sizes) in SETS["too-large"]["shapes"].items():
        yield name, shape(kind, sizes)
    for family, index, factor in SETS["too-large"]["made"]:
        thing = scaled(make(family, SETS["too-large"]["seed"], index), factor)
        yield thing.name, Polyhedron(thing.vertices, thing.faces)


def test_too_large_objects_are_wider_than_the_hand_in_every_direction(panda):
    names = []
    for name, mesh in too_large():
        names.append(name)
        assert smallest_width(mesh.vertices) > panda.stroke + 0.003, name
        check_convex(name, mesh)
    assert {"can-100", "block-90"} <= set(names)


@pytest.mark.extras
def test_too_large_objects_have_no_opposite_contacts_within_the_stroke(panda):
    """A wide ball has: with much friction, fingers could hold less than half of a 90 mm ball."""
    for name, mesh in too_large():
        found = sample_antipodal(loaded(mesh, name), panda, 20, np.random.default_rng(0))
        assert len(found) == 0, name
    ball = loaded(shape("ellipsoid", [0.09, 0.09, 0.09]))
    assert len(sample_antipodal(ball, panda, 20, np.random.default_rng(0))) > 0


def test_a_bound_of_the_width_holds():
    """A tilted block is as wide as its shortest side, and the bound is a little below."""
    block = trimesh.creation.box((0.1, 0.12, 0.2))
    block.apply_transform(trimesh.transformations.random_rotation_matrix(np.array([0.1, 0.5, 0.8])))
    assert 0.09 < narrowest(np.array(block.vertices)) <= 0.1


def test_a_stalk_is_not_convex():
    ball, stalk = trimesh.creation.icosphere(3, 0.06), trimesh.creation.box((0.01, 0.01, 0.03))
    stalk.apply_translation([0, 0, 0.075])
    both = trimesh.util.concatenate([ball, stalk])
    with pytest.raises(InputError, match="apple must be convex, but a vertex is"):
        check_convex("apple", Polyhedron(np.array(both.vertices), np.array(both.faces)))


@pytest.mark.parametrize(("kind", "sizes"), [("cube", [0.1]), ("block", [0.1, 0.1])])
def test_unknown_shapes_are_refused(kind, sizes):
    with pytest.raises(InputError, match=f"a shape must be one of block .*, got {kind}"):
        shape(kind, sizes)


# --- Rough ----------------------------------------------------------------------------------------


def cloud_of(obj):
    return cKDTree(obj.surface(150_000, np.random.default_rng(2))[0])


CUP = loaded(union(shell([(0.0, 0.0), (0.02, 0.0), (0.02, 0.04)], 0.003, 32)), "cup")


@pytest.mark.parametrize(
    ("truth", "distance"),
    [(loaded(trimesh.creation.box((0.03, 0.04, 0.05))), 0.003), (CUP, 0.001)],
)
def test_bumps_stay_within_the_stated_distance(truth, distance):
    """The true surface may be farther from the rough one at corners, by the factor √3."""
    rough = loaded(damaged(truth, Damage(distance), np.random.default_rng(0)))
    away = cloud_of(truth).query(rough.vertices)[0]
    assert away.max() <= distance + TOLERANCE
    assert away.mean() > 0.25 * distance
    points, _ = truth.surface(5000, np.random.default_rng(3))
    assert cloud_of(rough).query(points)[0].max() <= np.sqrt(3) * distance + TOLERANCE
    assert rough.mesh().body_count == 1


def test_a_cavity_is_filled_and_nothing_beyond_the_hull():
    """The inside of a fused cup is solid, and its outside is where it was."""
    damage = Damage(0.001, closing=0.03)
    rough = loaded(damaged(CUP, damage, np.random.default_rng(0)))
    axis = np.array([[0, 0, height] for height in (0.01, 0.02, 0.03)])
    assert (signed_distance(CUP, axis) > 0.005).all()  # the cavity of the true cup
    assert (signed_distance(rough, axis) < -0.003).all()
    outside = ConvexHull(CUP.vertices).equations
    beyond = (rough.vertices @ outside[:, :3].T + outside[:, 3]).max(axis=1)
    assert beyond.max() <= damage.distance + TOLERANCE


def test_floaters_are_balls_that_touch_nothing():
    truth = CUP
    rough = loaded(damaged(truth, Damage(0.001, floaters=5), np.random.default_rng(0)))
    pieces = sorted(rough.mesh().split(only_watertight=False), key=lambda each: len(each.faces))
    balls, tree = pieces[:-1], cloud_of(truth)
    assert len(balls) == 5
    for ball in balls:
        radius = np.linalg.norm(ball.vertices - ball.vertices.mean(axis=0), axis=1)
        assert np.ptp(radius) < 1e-6
        assert 0.003 <= radius.mean() <= 0.006
        assert tree.query(ball.vertices)[0].min() > 0.003
    for one, other in itertools.combinations(balls, 2):
        assert cKDTree(one.vertices).query(other.vertices)[0].min() > 0
    assert tree.query(pieces[-1].vertices)[0].max() <= 0.001 + TOLERANCE


def test_equal_seeds_give_equal_damage():
    truth = loaded(trimesh.creation.box((0.03, 0.03, 0.05)))
    one, two = (damaged(truth, Damage(0.002, 0.01, 2), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.vertices, two.vertices)
    np.testing.assert_array_equal(one.faces, two.faces)


def test_open_meshes_and_impossible_damage_are_refused():
    box = trimesh.creation.box((0.03, 0.03, 0.05))
    cut = Object.from_mesh(np.array(box.vertices), np.array(box.faces[1:]), name="cut")
    with pytest.raises(InputError, match="cut is not watertight"):
        damaged(cut, Damage(0.001), np.random.default_rng(0))
    for wrong in ({"distance": 0.0}, {"distance": 0.1}, {"distance": 0.001, "closing": 1.0}):
        with pytest.raises(InputError, match="damage needs a distance above"):
            Damage(**wrong)
    with pytest.raises(InputError, match="damage needs 0 to 20 floaters, got 21"):
        Damage(0.001, floaters=21)
