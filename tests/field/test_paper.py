"""The paper's network and the signed distances that it is trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import trimesh
from trimesh.creation import annulus, box, icosphere

from grasp.field.networks.paper import PaperConfig, PaperNetwork, distance_loss
from grasp.field.networks.probes import Probes, probes
from grasp.field.networks.surface import Surface
from grasp.field.surfaces import surface_of
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.objects.signed_distances import MARGIN, NEAR, signed_distance, signed_distances
from pcdiff.errors import InputError
from pcdiff.manifolds import so3
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.manifolds.se3 import SE3
from pcdiff.randomness import initial_weights

SMALL = PaperConfig(width=64, layers=4, code=16, encoder=16, decoder=32)
SPACE = SE3(0.1)


def object_of(mesh):
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))


def box_distance(points, sides):
    beyond = np.abs(points) - np.array(sides) / 2
    return np.linalg.norm(beyond.clip(0), axis=1) + beyond.max(axis=1).clip(max=0)


# --- Signed distances -----------------------------------------------------------------------------


def test_distances_to_a_box_are_exact_wherever_it_is():
    sides, place = (0.05, 0.08, 0.12), np.array([3.0, -2.0, 1.0])
    obj = object_of(box(sides).apply_translation(place))
    points, distance = signed_distances(obj, 1500, np.random.default_rng(0))
    np.testing.assert_allclose(distance, box_distance(points - place, sides), atol=1e-12)
    assert 0.05 < (distance < 0).mean() < 0.5


def test_distances_to_a_sphere_are_exact_up_to_its_facets():
    obj = object_of(icosphere(4, 0.05))
    points, distance = signed_distances(obj, 1000, np.random.default_rng(0))
    # The middle of a facet of 3.9 mm edges is 5e-5 m below the sphere.
    np.testing.assert_allclose(distance, np.linalg.norm(points, axis=1) - 0.05, atol=6e-5)


def test_distances_to_a_thin_wall_agree_with_another_library():
    ring = object_of(annulus(0.04, 0.042, 0.08))
    points, distance = signed_distances(ring, 200, np.random.default_rng(0))
    expected = trimesh.proximity.closest_point_naive(ring.mesh(), points)[1]
    np.testing.assert_allclose(np.abs(distance), expected, atol=1e-12)
    inside = ring.mesh().contains(points)
    assert inside.any()
    np.testing.assert_array_equal(distance < 0, inside)


def test_half_of_the_points_are_near_and_half_in_the_box():
    obj = object_of(icosphere(2, 0.05))
    points, distance = signed_distances(obj, 2001, np.random.default_rng(0))
    assert points.shape == (2001, 3)
    # The offset along the normal is Gaussian, too; curvature adds a little.
    assert distance[:1000].std() == pytest.approx(NEAR, rel=0.1)
    np.testing.assert_allclose(points[1000:].min(axis=0), -0.05 - MARGIN, atol=2e-3)
    np.testing.assert_allclose(points[1000:].max(axis=0), 0.05 + MARGIN, atol=2e-3)


def test_overlapping_shells_have_one_inside_and_a_cavity_is_outside():
    two = trimesh.util.concatenate([box((0.1, 0.1, 0.1)), icosphere(3, 0.07)])
    hollow = icosphere(3, 0.03)
    hollow.invert()
    cavity = trimesh.util.concatenate([box((0.1, 0.1, 0.1)), hollow])
    at = np.array([[0.0, 0, 0], [0.045, 0, 0], [0.06, 0, 0], [0.048, 0.048, 0.048], [0.09, 0, 0]])
    assert (signed_distance(object_of(two), at) < 0).tolist() == [True, True, True, True, False]
    found = signed_distance(object_of(cavity), at)
    assert (found < 0).tolist() == [False, True, False, True, False]


def test_an_open_box_has_an_inside_and_a_sheet_has_none():
    whole = box((0.1, 0.1, 0.1))
    open_box = trimesh.Trimesh(whole.vertices, whole.faces[whole.face_normals[:, 2] < 0.5])
    rng = np.random.default_rng(0)
    within = rng.uniform(-0.049, 0.049, (300, 3)) * [1, 1, 0.5] - [0, 0, 0.024]
    without = within + rng.choice([-1, 1], (300, 1)) * [0.1, 0.1, 0.1]
    assert (signed_distance(object_of(open_box), within) < 0).all()
    assert (signed_distance(object_of(open_box), without) > 0).all()
    flat = trimesh.Trimesh([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], [[0, 1, 2]])
    above = np.array([[0.02, 0.02, 0.01], [0.02, 0.02, -0.01]])
    np.testing.assert_allclose(signed_distance(object_of(flat), above), 0.01, atol=1e-12)


def test_a_cloud_has_no_signed_distances():
    points, normals = object_of(icosphere(2, 0.05)).surface(100, np.random.default_rng(0))
    with pytest.raises(InputError, match="expected a mesh"):
        signed_distances(Object.from_points(points, normals), 10, np.random.default_rng(0))


# --- The network ----------------------------------------------------------------------------------


def network_of(config=SMALL):
    with initial_weights(0):
        return PaperNetwork(config, SPACE.length).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network():
    return network_of()


@pytest.fixture(scope="module")
def hand():
    return probes(load_gripper("panda"))


@pytest.fixture(scope="module")
def ring():
    return annulus(0.04, 0.044, 0.08)


@pytest.fixture(scope="module")
def surface(ring):
    return surface_of(object_of(ring), np.random.default_rng(0))


@pytest.fixture(scope="module")
def poses():
    generator = torch.Generator().manual_seed(0)
    return SPACE.random((1, 20, 4, 4), 0.5, generator, centre=torch.zeros(3))


def energies(network, poses, hand, surface, sigma=0.1):
    return network(poses, poses.new_full(poses.shape[:2], sigma), hand, surface)


def test_the_number_of_weights_is_the_documented_one():
    network = PaperNetwork(PaperConfig(), SPACE.length)
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(554e3, rel=0.005)


def test_turning_object_and_grasps_together_changes_energies(network, hand, ring, surface, poses):
    """Moving them without turning does not."""
    expected = energies(network, poses, hand, surface)
    turn = torch.eye(4)
    turn[:3, :3] = so3.exp(torch.tensor([0.0, 0.0, 1.0]))
    shift = np.eye(4)
    shift[:3, 3] = 1.0, -2.0, 0.5
    moved, turned = (
        surface_of(object_of(ring.copy().apply_transform(by)), np.random.default_rng(0))
        for by in (shift, turn.numpy())
    )
    torch.testing.assert_close(energies(network, poses, hand, moved), expected)
    change = energies(network, turn @ poses, hand, turned) - expected
    assert change.abs().mean() > 0.1 * expected.std()


def test_every_role_of_the_gripper_counts(network, surface, poses, hand):
    """Energies depend on all six directions of motion and on the gripper's dimensions."""
    gradient = value_and_gradient(lambda at: energies(network, at, hand, surface), SPACE, poses)[1]
    assert (gradient.abs().amax(1) > 0).all()
    wider = hand._replace(dimensions=hand.dimensions + 0.1)
    change = energies(network, poses, wider, surface) - energies(network, poses, hand, surface)
    assert change.abs().min() > 1e-4


def test_the_order_of_the_points_does_not_matter(network, hand, surface, poses):
    order = torch.randperm(surface.points.shape[1], generator=torch.Generator().manual_seed(0))
    shuffled = dataclasses.replace(
        surface, points=surface.points[:, order], values=surface.values[:, order]
    )
    torch.testing.assert_close(
        energies(network, poses, hand, shuffled), energies(network, poses, hand, surface)
    )


def test_objects_and_grippers_in_a_batch_do_not_mix(network, hand, surface, poses):
    # The second object has fewer points, so it is padded with points of zero area.
    other = surface_of(object_of(box((0.03, 0.05, 0.1))), np.random.default_rng(1), points=200)
    jaw = probes(load_gripper("robotiq_2f_140"))
    both = Surface.stack([surface, other])
    hands = Probes(*(torch.cat(each) for each in zip(hand, jaw, strict=True)))
    together = energies(network, poses.expand(2, -1, 4, 4), hands, both)
    torch.testing.assert_close(together[:1], energies(network, poses, hand, surface))
    torch.testing.assert_close(together[1:], energies(network, poses, jaw, other))
    points = poses[..., :3, 3]
    torch.testing.assert_close(
        network.signed_distance(points.expand(2, -1, 3), both)[1:],
        network.signed_distance(points, other),
    )


def test_the_score_is_the_gradient(hand, surface, poses):
    """Checked by central differences along the retraction, in float64."""
    exact = network_of().double()
    hand64, surface64 = Probes(*(each.double() for each in hand)), surface.to(torch.float64)
    poses = poses.double()

    def energy(at):
        return energies(exact, at, hand64, surface64)

    gradient = value_and_gradient(energy, SPACE, poses)[1]
    step = 1e-5 * torch.eye(6, dtype=torch.float64)
    for axis in range(6):
        ahead, behind = (
            energy(SPACE.retract(poses, sign * step[axis].expand(1, 20, 6))) for sign in (1, -1)
        )
        torch.testing.assert_close(
            (ahead - behind) / 2e-5, gradient[..., axis], rtol=1e-6, atol=1e-8
        )


def test_double_backward_is_exact(hand, surface, poses):
    """d/dθ of a loss on the score, as in training, checked along one direction of all weights."""
    exact = network_of().double().requires_grad_(True)
    hand64, surface64 = Probes(*(each.double() for each in hand)), surface.to(torch.float64)

    def loss():
        gradient = value_and_gradient(
            lambda at: energies(exact, at, hand64, surface64), SPACE, poses.double(), True
        )[1]
        return gradient.square().mean()

    weights = list(exact.parameters())
    along = torch.autograd.grad(loss(), weights, allow_unused=True)
    # The last bias is the arbitrary constant of the energy, so it has no gradient.
    assert [each is None for each in along] == [False] * (len(weights) - 1) + [True]
    assert all(torch.isfinite(each).all() for each in along[:-1])
    ends = []
    for size in (1e-6, -2e-6):
        with torch.no_grad():
            for weight, each in zip(weights[:-1], along[:-1], strict=True):
                weight += size * each
        ends.append(loss())
    slope = sum(each.square().sum() for each in along[:-1])
    torch.testing.assert_close((ends[0] - ends[1]) / 2e-6, slope, rtol=1e-6, atol=0)


def test_distances_beyond_the_clamp_count_as_the_clamp():
    predicted, given = torch.tensor([[0.3, 0.02, -0.3]]), torch.tensor([[0.15, 0.05, 0.01]])
    assert distance_loss(predicted, given, clamp=0.1).item() == pytest.approx((0.03 + 0.11) / 3)


def test_it_learns_the_distances_of_a_sphere_and_a_box_at_once():
    """Within 2 mm and 5 mm on average at new places, so the code tells the objects apart."""
    rng = np.random.default_rng(0)
    objects = [object_of(icosphere(3, 0.04)), object_of(box((0.04, 0.06, 0.12)))]
    surface = Surface.stack([surface_of(obj, rng, points=128) for obj in objects])
    drawn = [signed_distances(obj, 1200, rng) for obj in objects]
    places, distances = (torch.tensor(np.stack(each)).float() for each in zip(*drawn, strict=True))
    places -= surface.centre[:, None]
    new = torch.arange(1200) % 3 == 0
    network = network_of().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), 4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
    for _ in range(300):
        found = network.signed_distance(places[:, ~new], surface)
        optimizer.zero_grad()
        distance_loss(found, distances[:, ~new]).backward()
        optimizer.step()
        schedule.step()
    error = (network.signed_distance(places, surface) - distances)[:, new].abs().mean(1)
    assert error[0] < 0.002
    assert error[1] < 0.005
    swapped = network.signed_distance(places.flip(0), surface) - distances.flip(0)
    assert swapped[:, new].abs().mean() > 0.008
