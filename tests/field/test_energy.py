"""The default networks: surfaces, features, invariance, exact gradients, no jumps."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from trimesh.creation import annulus, box, icosphere

from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig, Summary, features
from grasp.field.networks.kernel_sums import look
from grasp.field.networks.probes import ALL, FINE, probes
from grasp.field.networks.surface import Surface
from grasp.field.surfaces import oriented_points, surface_of
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.manifolds import se3, so3
from pcdiff.manifolds.gradients import value_and_gradient

CONFIG = FieldConfig(energy=NetworkConfig(32, 2, 8), success=NetworkConfig(16, 2, 8))


def object_of(mesh, name="thing"):
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), name=name)


@pytest.fixture(scope="module")
def field():
    return GraspField.initialized(CONFIG, 0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def hand():
    return probes(load_gripper("panda"))


@pytest.fixture(scope="module")
def cup():
    """A ring with radii of 4 cm inside and 4.4 cm outside, 8 cm high."""
    return object_of(annulus(0.04, 0.044, 0.08))


@pytest.fixture(scope="module")
def surface(cup):
    return surface_of(cup, np.random.default_rng(0))


def some_poses(field, count, spread=0.5, seed=0):
    return field.space.random(
        (1, count, 4, 4), spread, torch.Generator().manual_seed(seed), centre=torch.zeros(3)
    )


def energies(field, poses, hand, surface, sigma=0.1):
    return field.energy(poses, poses.new_full(poses.shape[:2], sigma), hand, surface)


# --- The surface ----------------------------------------------------------------------------------


def test_areas_add_up_to_the_area_of_the_mesh(cup, surface):
    # The sum is not exact, because discs reach over sharp rims and bend around the walls.
    assert surface.values[0, :, 0].sum() == pytest.approx(cup.mesh().area, rel=0.1)
    assert surface.coarse_values[0, :, 0].sum() == pytest.approx(
        surface.values[0, :, 0].sum().item()
    )
    # On a closed surface Σ a n is zero and Σ a n·p is three times the volume.
    assert surface.values[0, :, 1:4].sum(0).abs().max() < 0.05 * cup.mesh().area
    sphere = object_of(icosphere(4, 0.05))
    of_sphere = surface_of(sphere, np.random.default_rng(0))
    assert of_sphere.values[0, :, 4].sum() == pytest.approx(3 * sphere.mesh().volume, rel=0.1)


def test_the_area_of_a_point_is_its_share_of_a_disc():
    """On a square grid of pitch p the sixth neighbour is at √2 p, and the disc holds 6 + ½ points.

    So the rule gives 2π/6.5 p² = 0.967 p²; with 7 in place of 6 + ½ it would give 0.898 p².
    """
    at = 0.01 * np.stack(np.meshgrid(np.arange(20), np.arange(20), [0]), -1).reshape(-1, 3)
    normals = np.tile([0.0, 0.0, 1.0], (400, 1))
    found = oriented_points(at, normals, np.zeros(3)).values[0, :, 0]
    inner = ((at > 0.01) & (at < 0.18))[:, :2].all(1)
    np.testing.assert_allclose(found[inner], 2 * np.pi / 6.5 * 1e-4, rtol=1e-5)


def test_landmarks_of_a_small_cloud_are_spread():
    """The first points of a surface are its landmarks, so they must be far from each other."""
    points, normals = object_of(icosphere(4, 0.05)).surface(400, np.random.default_rng(0))
    few = surface_of(Object.from_points(points, normals), np.random.default_rng(1))
    apart = torch.cdist(few.landmarks, few.landmarks)[0] + torch.eye(64)
    # On a sphere of 5 cm, 64 evenly spread places are over 1 cm apart, 64 random ones 2 mm.
    assert len(few.points[0]) == 400 and apart.min() > 0.008


def test_the_centre_is_the_centroid_of_the_area(cup):
    moved = object_of(cup.mesh().apply_translation([3.0, -2.0, 1.0]))
    found = surface_of(moved, np.random.default_rng(0))
    np.testing.assert_allclose(found.centre[0], [3.0, -2.0, 1.0], atol=2e-3)
    total = found.values[0, :, 0] @ found.points[0]
    assert total.abs().max() < 1e-6


# --- The features ---------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.002, 0.05])
def test_probes_look_from_their_places_with_kernels_as_wide_as_the_noise(hand, surface, spread):
    """One grasp and probe at a time: at R p + t, with kernels of width (h² + (0.35 σℓ)²)^½."""
    poses = some_poses(GraspField.initialized(CONFIG, 0), 3, 0.3).double()
    surface64 = surface.to(torch.float64)
    hand64 = type(hand)(*(each.double() for each in hand))
    seen = features(poses, torch.full((1, 3), spread).double(), hand64, surface64)
    for pose, found in zip(poses[0], seen[0], strict=True):
        rotation, translation = pose[:3, :3], pose[:3, 3]
        expected = []
        for count, factor, points, values in (
            (FINE, 1.0, surface64.points, surface64.values),
            (ALL, 4.0, surface64.coarse_points, surface64.coarse_values),
        ):
            looks = []
            for place, own in zip(hand64.places[0, :count], hand64.widths[0, :count], strict=True):
                x = (rotation @ place + translation)[None, None]
                width = factor * torch.sqrt(own**2 + (0.35 * spread) ** 2)[None, None, None]
                looks.append([each[0, 0] for each in look(x, width, points, values)])
            amounts, normals, distances = (list(each) for each in zip(*looks, strict=True))
            expected += [*amounts, *distances, *(rotation.T @ normal for normal in normals)]
        centre = -rotation.T @ translation
        covariance = rotation.T @ surface64.covariance[0] @ rotation
        upper = [covariance[i, j] for i in range(3) for j in range(i, 3)]
        expected += [centre / 0.1, torch.stack(upper) / 0.01]
        torch.testing.assert_close(found, torch.cat([each.reshape(-1) for each in expected]))


def test_the_summary_is_a_sum_over_landmarks_in_the_grippers_frame(surface):
    """Σᵢ aᵢ silu(A pᵢ + B nᵢ + C dᵢ + D(σ) + b), one grasp and landmark at a time."""
    summary = Summary(5).double().requires_grad_(False)
    surface64 = surface.to(torch.float64)
    poses = some_poses(GraspField.initialized(CONFIG, 0), 2, 0.3).double()
    noise = torch.randn(1, 2, 64, generator=torch.Generator().manual_seed(3)).double()
    found = summary(poses, noise, surface64)[0]
    for pose, own, value in zip(poses[0], noise[0], found, strict=True):
        total = torch.zeros(5, dtype=torch.float64)
        for place, (area, *rest) in zip(
            surface64.landmarks[0], surface64.landmark_values[0], strict=True
        ):
            normal, described = torch.stack(rest[:3]), torch.stack(rest[3:])
            local = pose[:3, :3].T @ (place - pose[:3, 3])
            given = torch.cat([local / 0.1, pose[:3, :3].T @ normal])
            hidden = summary.place(given) + summary.described(described) + summary.noise(own)
            total += area * torch.nn.functional.silu(hidden)
        torch.testing.assert_close(value, total)


# --- The energy -----------------------------------------------------------------------------------


def test_moving_object_and_grasps_together_changes_nothing(field, hand, cup):
    """Within 1e-4 of the spread of the energies, even far from the origin of the file."""
    g = torch.Generator().manual_seed(1)
    rotation = so3.from_quaternion(torch.randn(4, generator=g, dtype=torch.float64))
    move = se3.pose(rotation, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    moved = object_of(cup.mesh().apply_transform(move.numpy()))
    poses = some_poses(field, 200).double()
    values = []
    for obj, grasps in ((cup, poses), (moved, move @ poses)):
        surface = surface_of(obj, np.random.default_rng(0))
        about = grasps.clone()
        about[..., :3, 3] -= surface.centre
        values.append(energies(field, about.float(), hand, surface))
    assert (values[0] - values[1]).abs().max() < 1e-4 * values[0].std()


def test_the_score_is_the_gradient(field, hand, surface):
    """Checked by central differences along the retraction, in float64."""
    exact = GraspField.initialized(CONFIG, 0).double().eval().requires_grad_(False)
    hand64 = type(hand)(*(each.double() for each in hand))
    surface64 = surface.to(torch.float64)
    poses = some_poses(field, 20).double()

    def energy(at):
        return energies(exact, at, hand64, surface64)

    value, gradient = value_and_gradient(energy, exact.space, poses)
    torch.testing.assert_close(value, energy(poses))
    step = 1e-6 * torch.eye(6, dtype=torch.float64)
    for axis in range(6):
        ahead, behind = (
            energy(exact.space.retract(poses, s * step[axis].expand(1, 20, 6))) for s in (1, -1)
        )
        torch.testing.assert_close(
            (ahead - behind) / 2e-6, gradient[..., axis], rtol=1e-6, atol=1e-7
        )


def test_no_jumps_between_the_walls(field, hand, surface):
    """Steps of 0.1 mm through the ring, across its medial axis: value and gradient do not jump."""
    poses = torch.eye(4).repeat(1, 1200, 1, 1)
    poses[0, :, 0, 3] = torch.linspace(-0.06, 0.06, 1200)
    poses[0, :, 2, 3] = -0.1034
    value, gradient = value_and_gradient(
        lambda at: energies(field, at, hand, surface, 0.02), field.space, poses
    )
    # With kernels of 6 mm, nothing changes by more than a few hundredths of its range over 0.1 mm.
    for each in (value[..., None], gradient):
        span = each.amax(1) - each.amin(1)
        assert (each.diff(dim=1).abs().amax(1) < 0.1 * span).all()


def test_objects_and_grippers_in_a_batch_do_not_mix(field, hand, surface):
    # The second object has fewer points, so it is padded with points of zero area.
    other = surface_of(object_of(box((0.03, 0.05, 0.1))), np.random.default_rng(1), points=200)
    jaw = probes(load_gripper("robotiq_2f_140"))
    poses = some_poses(field, 10)
    together = energies(
        field,
        poses.expand(2, 10, 4, 4),
        type(hand)(*(torch.cat(each) for each in zip(hand, jaw, strict=True))),
        Surface.stack([surface, other]),
    )
    torch.testing.assert_close(together[:1], energies(field, poses, hand, surface))
    torch.testing.assert_close(together[1:], energies(field, poses, jaw, other))


def test_probes_follow_the_grippers_description():
    panda = load_gripper("panda")
    wider = dataclasses.replace(panda, stroke=0.1)
    places, moved = probes(panda).places[0], probes(wider).places[0]
    shift = (moved - places)[:, 0]
    pads = (places[:, 0].abs() - 0.04).abs() < 1e-6
    assert pads.sum() == 18
    torch.testing.assert_close(shift[pads], 0.01 * places[pads, 0].sign())


@pytest.mark.parametrize("tool", [(0.0, 0.03, 0.1034), (0.002, 0.0, 0.1034), (0.0, 0.0, 0.2)])
def test_a_gripper_whose_pads_are_beside_its_axis_is_refused(tool):
    odd = dataclasses.replace(load_gripper("panda"), tool_center_point=np.array(tool))
    with pytest.raises(
        InputError, match=r"gripper .* must have pads centred on its z axis .* got panda"
    ):
        probes(odd)
    fingers = tuple(
        dataclasses.replace(each, centre=each.centre + np.array([0.0, 0.03, 0.0]))
        for each in load_gripper("panda").finger_boxes
    )
    with pytest.raises(InputError, match=r"the fingers at y = 0\.03 m"):
        probes(dataclasses.replace(load_gripper("panda"), finger_boxes=fingers))


def test_rescaled_logits_are_scaled_and_shifted():
    field = GraspField.initialized(CONFIG, 1).eval().requires_grad_(False)
    field.success.load_exponent.fill_(1.5)
    conditioned = field.condition(object_of(box((0.03, 0.05, 0.08))), mass=2.0)
    poses = torch.eye(4).repeat(5, 1, 1)
    poses[:, 2, 3] = torch.linspace(-0.15, -0.08, 5)
    before = conditioned.success_probability(poses).detach().logit()
    field.success.rescale(0.5, -0.25)
    after = conditioned.success_probability(poses).detach().logit()
    torch.testing.assert_close(after, 0.5 * before - 0.25, atol=1e-5, rtol=0)


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf)])
def test_logits_that_would_lose_their_order_are_refused(numbers):
    with pytest.raises(
        InputError, match="the scale of logits must be positive and finite and their shift finite"
    ):
        GraspField.initialized(CONFIG, 0).success.rescale(*numbers)
