"""The trained and the conditioned field: weights, frames, costs, samples and guidance."""

from __future__ import annotations

import dataclasses

import jaxtyping
import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.costs import ApproachCone, NearPoint
from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.sampling import Sampling
from grasp.field.selection import Selection
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision
from pcdiff.diffusion.guidance import Guided, Tempered
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.manifolds.gradients import value_and_gradient
from pcdiff.randomness import seeded

CONFIG = FieldConfig(energy=NetworkConfig(32, 2, 8), success=NetworkConfig(16, 2, 8))


@pytest.fixture(scope="module")
def field():
    return GraspField.initialized(CONFIG, 0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def bar():
    """A bar of 3 x 4 x 12 cm, about a metre from the origin of its file."""
    mesh = box((0.03, 0.04, 0.12))
    mesh.apply_translation([1.0, 0.0, -0.5])
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces))


@pytest.fixture(scope="module")
def of_bar(field, bar):
    return field.condition(bar)


def poses(count, seed=0):
    return GraspField.initialized(CONFIG, 0).space.random(
        (count, 4, 4), 0.5, torch.Generator().manual_seed(seed), torch.tensor([1.0, 0.0, -0.5])
    )


def test_weights_are_written_and_read(field, tmp_path):
    path = tmp_path / "field.safetensors"
    checkpoint.save(path, "grasp-field", {"model": CONFIG.as_dict()}, field.state_dict())
    again = GraspField.from_pretrained(path)
    assert again.config == CONFIG
    for name, tensor in field.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=0)
    other = {**CONFIG.as_dict(), "energy": {"width": 33, "layers": 2, "summary": 8}}
    checkpoint.save(path, "grasp-field", {"model": other}, field.state_dict())
    with pytest.raises(InputError, match="should be"):
        GraspField.from_pretrained(path)


def test_weights_state_the_protocol_of_their_probabilities(tmp_path):
    """Weights of version 0.1.0 do not state it; they were trained with protocol 2."""
    path, model = tmp_path / "field.safetensors", GraspField.initialized(CONFIG, 0)
    old = {key: value for key, value in CONFIG.as_dict().items() if key != "protocol"}
    new = dataclasses.replace(CONFIG, protocol="2 and 3").as_dict()
    for description, protocol in ((old, "2"), (new, "2 and 3")):
        checkpoint.save(path, "grasp-field", {"model": description}, model.state_dict())
        assert GraspField.from_pretrained(path).config.protocol == protocol
    checkpoint.save(path, "grasp-field", {"model": {**new, "protocol": 3}}, model.state_dict())
    with pytest.raises(InputError, match=r"field\.safetensors: .*protocol"):
        GraspField.from_pretrained(path)


def test_weights_of_another_layout_or_gripper_are_refused(bar, tmp_path):
    path = tmp_path / "field.safetensors"
    model = GraspField.initialized(CONFIG, 0)
    checkpoint.save(
        path, "grasp-field", {"model": {**CONFIG.as_dict(), "layout": 99}}, model.state_dict()
    )
    with pytest.raises(
        InputError, match=r"field.safetensors: the layout of the networks' .* must be 1, got 99"
    ):
        GraspField.from_pretrained(path)
    for wrong, sentence in (
        ({"sigma_max": "1.2"}, "sigma_max"),
        ({"sigma_min": 2.0}, "sigma_max must be above sigma_min, got length 0.1, sigma_min 2.0"),
        ({"length": 0.0}, "above 0 and finite"),
        ({"grippers": ["panda"]}, "grippers"),
    ):
        checkpoint.save(
            path, "grasp-field", {"model": {**CONFIG.as_dict(), **wrong}}, model.state_dict()
        )
        with pytest.raises(InputError, match=f"field.safetensors: .*{sentence}"):
            GraspField.from_pretrained(path)
    panda = load_gripper("panda")
    model.config = dataclasses.replace(CONFIG, grippers={"panda": panda.sha256})
    model.condition(bar, panda)
    with pytest.raises(InputError, match="another description of the gripper panda: give your "):
        model.condition(bar, dataclasses.replace(panda, stroke=0.09))
    model.condition(bar, dataclasses.replace(panda, stroke=0.09, name="wide"))


def test_the_predicted_noise_is_the_gradient_of_the_cost(field, of_bar):
    """ε̂ = σ S^{1/2} ∇E, with ∇E by central differences of `cost` along the retraction."""
    at, sigma = poses(12), 0.3
    about = at.clone()
    about[:, :3, 3] -= of_bar.centre
    level = Level(torch.ones(12), torch.full((12,), sigma))
    noise = field.predict_noise(about, level, of_bar.condition)
    step = 2e-3 * torch.eye(6)
    differences = [
        of_bar.cost(field.space.retract(at, s.expand(12, 6)), sigma)
        - of_bar.cost(field.space.retract(at, -s.expand(12, 6)), sigma)
        for s in field.space.from_unit(step)
    ]
    gradient = field.space.to_unit(torch.stack(differences, dim=-1) / 4e-3)
    expected = noise_from_score(field.space, -gradient, level)
    torch.testing.assert_close(noise, expected, rtol=0.02, atol=2e-3)


def test_poses_may_have_any_batch_shape(of_bar):
    at = poses(6)
    flat = of_bar.cost(at)
    torch.testing.assert_close(of_bar.cost(at.view(2, 3, 4, 4)), flat.view(2, 3))
    assert of_bar.success_probability(at[0]).shape == ()


def test_points_for_collisions_are_as_dense_as_fingers_need(field):
    """At least 4096, or 10 per square centimetre, so that no finger fits between them."""
    for side, count in ((0.05, 4096), (0.1, 6000)):
        mesh = box((side, side, side))
        of_cube = field.condition(Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces)))
        assert len(of_cube.points) == count


def test_no_poses_have_no_costs(of_bar):
    """An empty batch, as for an object without grasps, gives empty results."""
    nothing = torch.zeros(0, 4, 4)
    assert of_bar.cost(nothing).shape == of_bar.success_probability(nothing).shape == (0,)
    value, gradient = of_bar.cost_and_gradient(nothing)
    assert value.shape == (0,) and gradient.shape == (0, 6)
    batch = poses(6).view(2, 3, 4, 4)
    value, gradient = of_bar.cost_and_gradient(batch)
    of_first = of_bar.cost_and_gradient(batch[0, 0])
    torch.testing.assert_close((value[0, 0], gradient[0, 0]), of_first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_arrays_give_arrays(of_bar, dtype):
    """With the numbers of tensors; torch could use neither the byte order nor read-only memory."""
    tensor = poses(6).view(2, 3, 4, 4)
    array = tensor.numpy()[::-1, ::-1].astype(dtype)
    array.flags.writeable = False
    tensor = tensor.flip(0, 1)
    found = [
        of_bar.cost(array, 0.3),
        *of_bar.cost_and_gradient(array, 0.3),
        of_bar.success_probability(array),
    ]
    expected = [
        of_bar.cost(tensor, 0.3),
        *of_bar.cost_and_gradient(tensor, 0.3),
        of_bar.success_probability(tensor),
    ]
    for ours, theirs in zip(found, expected, strict=True):
        assert type(ours) is np.ndarray and ours.dtype == np.dtype(dtype).newbyteorder("=")
        assert type(theirs) is torch.Tensor
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert of_bar.cost(array[0, 0]).shape == ()


@pytest.mark.parametrize("wrong", [np.eye(4, dtype=int), np.eye(3), np.eye(4).tolist(), None])
def test_arrays_that_are_not_poses_are_refused(of_bar, wrong, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for function in (of_bar.cost, of_bar.cost_and_gradient, of_bar.success_probability):
        with pytest.raises(
            InputError, match=r"poses must be a .*array of shape \(..., 4, 4\), got"
        ):
            function(wrong)


def test_a_seed_stands_for_its_generator(of_bar):
    how, lenient = Sampling(steps=2), Selection(least_probability=0.0, oversampling=1.0)
    torch.testing.assert_close(of_bar.draw(3, sampling=how, seed=7), of_bar.draw(3, seeded(7), how))
    found = of_bar.sample(3, sampling=how, selection=lenient, seed=7)
    np.testing.assert_allclose(found.poses, of_bar.sample(3, seeded(7), how, lenient).poses)
    for arguments, came in (({}, "neither"), ({"generator": seeded(7), "seed": 7}, "both")):
        for function in (of_bar.sample, of_bar.draw):
            with pytest.raises(InputError, match=f"either a generator or a seed, got {came}"):
                function(3, **arguments)


def test_a_search_tells_its_progress(of_bar):
    """Each of 4 samples takes two steps and is assessed; then as many samples follow again."""
    impossible = Selection(least_probability=1.0, oversampling=2.0, attempts=2)
    steps = list(of_bar.search(2, seeded(0), Sampling(steps=2), impossible))
    assert [step[:2] for step in steps] == [
        *[(done, 12) for done in (0, 4, 8, 12)],
        *[(done, 24) for done in (12, 16, 20, 24, 24)],
    ]
    assert [step.grasps is None for step in steps] == [True] * 8 + [False]


def test_grasps_know_their_object(of_bar, bar):
    found = of_bar.sample(2, seed=0, selection=Selection(least_probability=0.0))
    assert found.obj is bar and found.hand is of_bar.gripper
    assert repr(of_bar) == "ConditionedField(object for panda)"
    assert repr(of_bar.gripper) == "Gripper(panda, opens 80 mm)"


@pytest.mark.parametrize(
    "wrong", [torch.eye(4, dtype=torch.int64), torch.eye(3), torch.zeros(5, 4, 3)]
)
def test_tensors_that_are_not_poses_are_refused(of_bar, wrong, monkeypatch):
    # Users run without the checks of annotated shapes, which would fail first here.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(InputError, match=r"floating-point tensor of shape \(..., 4, 4\), got"):
        of_bar.cost(wrong)


def test_a_grasp_turned_by_half_a_turn_is_as_likely_to_hold(of_bar):
    at = poses(20)
    turned = at @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))
    likely = of_bar.success_probability(at)
    torch.testing.assert_close(of_bar.success_probability(turned), likely)
    sigma = torch.full((1, 20), CONFIG.sigma_min)
    surface, hand = of_bar.condition
    logits = []
    for each in (at, turned):
        about = each[None].clone()
        about[..., :3, 3] -= of_bar.centre
        logits.append(of_bar.model.success(about, sigma, hand, surface)[0])
    assert (logits[0] - logits[1]).abs().max() > 0.01  # the network alone is not symmetric
    torch.testing.assert_close(likely.logit(), (logits[0] + logits[1]) / 2, rtol=0, atol=1e-5)


def test_an_object_far_from_the_origin_has_the_same_samples(field, bar):
    """100 km from the origin, where float32 resolves 8 mm."""
    far = np.array([1e5 + 0.123, -3e4, 2e4])
    moved = field.condition(Object.from_mesh(bar.vertices + far, bar.faces))
    near = field.condition(bar)
    here, there = (each.draw(20, seeded(0), Sampling()).numpy() for each in (near, moved))
    np.testing.assert_allclose(there[:, :3, 3] - far, here[:, :3, 3], rtol=0, atol=1e-4)
    np.testing.assert_allclose(there[:, :3, :3], here[:, :3, :3], rtol=0, atol=1e-3)
    energies = [e.cost(torch.from_numpy(p)) for e, p in ((near, here), (moved, there))]
    assert (energies[0] - energies[1]).abs().max() < 0.01 * energies[0].std()


def test_sampling_and_gradients_work_in_inference_mode(of_bar, bar, field):
    expected = of_bar.draw(3, seeded(0), Sampling())
    with torch.inference_mode():
        inside = field.condition(bar)
        torch.testing.assert_close(inside.draw(3, seeded(0), Sampling()), expected)
        value, gradient = inside.cost_and_gradient(expected + 0)
    outside = inside.cost_and_gradient(expected)
    torch.testing.assert_close((value + 0, gradient + 0), outside)


def test_noise_levels_that_were_not_trained_are_refused(of_bar):
    for sigma in (0.001, 5.0):
        with pytest.raises(InputError, match=r"the noise level must be from 0.02 to 1.2, got"):
            of_bar.cost(poses(1), sigma)


def test_samples_are_a_function_of_their_generators(of_bar):
    generators = [seeded(3, place) for place in range(5)]
    how = Sampling(steps=4)
    five = of_bar.draw(5, generators, how)
    two = of_bar.draw(2, [seeded(3, place) for place in range(2)], how)
    torch.testing.assert_close(five[:2], two, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="number of grasps to sample must be at least 1, got 0"):
        of_bar.draw(0, seeded(0))
    with pytest.raises(InputError, match="number of grasps to sample must be at least 1, got -1"):
        of_bar.sample(-1, seeded(0))


def test_samples_are_drawn_again_until_there_are_enough_grasps(of_bar):
    """Up to the number of attempts; the best grasps of all samples together are returned."""
    how = Sampling(steps=2, begin=0.1)
    lenient = Selection(oversampling=2.0, least_probability=0.0, attempts=3)
    generator = seeded(4)
    samples = torch.cat([of_bar.draw(20, generator, how) for _ in range(3)])
    probability = of_bar.success_probability(samples)
    free = ~in_collision(samples.double().numpy(), of_bar.gripper, of_bar.points)
    best = probability[torch.from_numpy(free)].sort(descending=True).values
    strict = dataclasses.replace(lenient, least_probability=float(best[5]), likely=1.0)
    found = of_bar.sample(10, seeded(4), how, strict)
    assert found.success_probability is not None and found.in_collision is not None
    given = found.success_probability[~found.in_collision]
    np.testing.assert_allclose(given, best[:6].double(), rtol=1e-4)
    assert len(given) == 6
    once = of_bar.sample(10, seeded(4), how, lenient)
    assert len(once) == 10 and once.reason is None


@pytest.mark.parametrize("begin", [None, 0.5])
def test_guidance_pulls_where_its_cost_is_low(of_bar, begin):
    """A spring with a deviation of 15 cm pulls poses to a place, even from an untrained field."""
    place = torch.tensor([1.1, 0.05, -0.4])

    def spring(at):
        return ((at[..., :3, 3] - place) ** 2).sum(-1) / (2 * 0.15**2)

    how = Sampling(steps=30, begin=begin, temperature=1.0, finest=0.02)
    free = of_bar.draw(20, seeded(0), how)
    pulled = of_bar.draw(20, seeded(0), how, spring)
    assert (pulled[:, :3, 3] - place).norm(dim=1).mean() < (free[:, :3, 3] - place).norm(
        dim=1
    ).mean()


def test_sampling_uses_the_energy_over_the_temperature_plus_the_cost(of_bar):
    """ε̂ belongs to E/T + C: the core converts the negative gradient, the score, to noise."""
    space, place = of_bar.model.space, torch.tensor([1.1, 0.05, -0.4])

    def spring(at):
        return ((at[..., :3, 3] - place) ** 2).sum(-1) / (2 * 0.15**2)

    about = poses(5)
    level = Level(torch.ones(5), torch.full((5,), 0.2))
    _, of_energy = of_bar.cost_and_gradient(about, 0.2)
    _, of_spring = value_and_gradient(spring, space, about)
    expected = noise_from_score(space, -(of_energy / 0.5 + of_spring), level)
    about[:, :3, 3] -= of_bar.centre
    guide, tempered = of_bar.guide(spring), Tempered(of_bar.model.predict_noise, 0.5)
    guided = Guided(tempered, space, guide.costs, guide.to_file_frame)
    found = guided(about, level, of_bar.condition)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("begin", [None, 0.15])
def test_guidance_that_is_not_a_cost_is_refused(of_bar, begin):
    how = Sampling(steps=2, begin=begin)
    for cost, sentence in (
        (lambda at: at[..., 0, 3].sum(), "one number per point, shape .* got shape"),
        (lambda at: at[..., :1, 3], "one number per point, shape .* got shape"),
        (lambda at: at[..., 0, 3] * torch.nan, "with NaN"),
        (lambda at: (0 * at[..., 0, 3]).sqrt(), "gradient of guidance costs must be finite, got"),
    ):
        with pytest.raises(InputError, match=sentence):
            of_bar.draw(3, seeded(0), how, cost)
    constant = of_bar.draw(3, seeded(0), how, lambda at: at.new_full(at.shape[:-2], 2.0))
    torch.testing.assert_close(constant, of_bar.draw(3, seeded(0), how))


def test_several_guidance_costs_are_summed(of_bar):
    """Constraints of `grasp.costs` can be among them; each is blurred separately."""
    spring, how = (lambda at: at[..., 0, 3].square()), Sampling(steps=4, begin=0.2)

    def twice(at):
        return 2 * spring(at)

    several = of_bar.draw(10, seeded(0), how, [spring, spring])
    torch.testing.assert_close(several, of_bar.draw(10, seeded(0), how, twice))
    region = NearPoint(np.array([1.0, 0.0, -0.4]), 0.05, of_bar.gripper, sigma=0.01)
    both = of_bar.draw(10, seeded(0), how, [region, spring])
    one = of_bar.draw(10, seeded(0), how, region)
    assert (both - one).abs().max() > 1e-3
    nothing = of_bar.draw(10, seeded(0), how, [region, lambda at: 0 * at[..., 0, 3]])
    torch.testing.assert_close(nothing, one)


def test_grasps_meet_every_constraint_among_the_guidance(of_bar):
    free = of_bar.draw(200, seeded(0))
    centre = free[:, :3, 3].mean(0).double().numpy()
    region = NearPoint(centre, 0.15, of_bar.gripper, sigma=0.05)
    cone = ApproachCone(np.array([0.0, 0.0, -1.0]), 1.2, sigma=0.3)
    lenient, guidance = Selection(least_probability=0.0), [region, cone, lambda at: at[..., 0, 3]]
    found = of_bar.sample(20, seeded(0), None, lenient, guidance)
    poses = torch.from_numpy(found.poses).float()
    assert len(poses) and region.holds(poses).all() and cone.holds(poses).all()


def test_the_success_loss_applies_the_load(field, of_bar):
    """Labels already reflect the weight, so the loss compares them with the odds under the load."""
    model = GraspField.initialized(CONFIG, 3)
    model.success.load_exponent.data.fill_(1.5)
    at, load = poses(6)[None], torch.arange(6.0)[None]
    at[..., :3, 3] -= of_bar.centre
    success = torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]])
    sigma = torch.full((1, 6), CONFIG.sigma_min)
    logits = model.success(at, sigma, of_bar.condition.probes, of_bar.condition.surface)
    odds = logits.exp() / (1 + load) ** 0.75
    told = odds / (1 + odds)
    expected = -torch.where(success > 0, told.log(), (1 - told).log()).mean()
    torch.testing.assert_close(model.success_loss(at, success, load, of_bar.condition), expected)
