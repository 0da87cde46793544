"""The trained and the conditioned field: frames, costs and samples, and the training data."""

from __future__ import annotations

import dataclasses

import jaxtyping
import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.costs import ApproachCone, NearPoint
from grasp.field.configuration import FieldConfig
from grasp.field.items import Tried, grippers_in, read_items, split
from grasp.field.networks.energy import NetworkConfig, features
from grasp.field.objective import OTHERS, FieldObjective, draw_held, draw_tried
from grasp.field.prepared import Recipe
from grasp.field.sampling import Sampling
from grasp.field.selection import Selection
from grasp.field.trained import GraspField
from grasp.field.weight import Weight, squared_load
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.scenes.collision import in_collision
from pcdiff.diffusion.guidance import Guided, Tempered
from pcdiff.diffusion.parametrization import noise_from_score
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.learning.trainer import accumulate_gradient
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


# --- The field ------------------------------------------------------------------------------------


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


def test_weights_of_another_layout_or_gripper_are_refused(bar, tmp_path):
    path = tmp_path / "field.safetensors"
    model = GraspField.initialized(CONFIG, 0)
    checkpoint.save(
        path, "grasp-field", {"model": {**CONFIG.as_dict(), "layout": 99}}, model.state_dict()
    )
    with pytest.raises(
        InputError, match=r"field.safetensors: the networks need .* layout 99, expected layout 1"
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
    with pytest.raises(InputError, match="another description of the gripper panda: give yours"):
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
        with pytest.raises(InputError, match=r"the noise level must be 0.02 to 1.2, got"):
            of_bar.cost(poses(1), sigma)


def test_samples_are_a_function_of_their_generators(of_bar):
    generators = [seeded(3, place) for place in range(5)]
    how = Sampling(steps=4)
    five = of_bar.draw(5, generators, how)
    two = of_bar.draw(2, [seeded(3, place) for place in range(2)], how)
    torch.testing.assert_close(five[:2], two, rtol=1e-4, atol=1e-4)
    with pytest.raises(InputError, match="expected at least 1, got 0"):
        of_bar.draw(0, seeded(0))
    with pytest.raises(InputError, match="expected at least 1, got -1"):
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
    strict = dataclasses.replace(lenient, least_probability=float(best[5]), likely=1.0, choice=1.0)
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
        (lambda at: (0 * at[..., 0, 3]).sqrt(), "a non-finite gradient"),
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


# --- Training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two boxes with 40 labelled grasps each; the grasps at x > 0 hold."""
    folder = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    for name, side in (("a", 0.03), ("b", 0.05)):
        box((side, 0.04, 0.1)).export(folder / f"{name}.obj")
        obj = load_object(folder / f"{name}.obj")
        at = np.tile(np.diag([1.0, -1.0, -1.0, 1.0]), (40, 1, 1))
        at[:, :3, 3] = rng.normal([0, 0, 0.15], 0.02, (40, 3))
        for hand in ("panda", "robotiq_2f_85"):
            labelled = Grasps(
                at, gripper=hand, object_file=f"{name}.obj", object_sha256=obj.sha256,
                success=at[:, 0, 3] > 0, mass=0.1, friction=0.5, center_of_mass=np.zeros(3),
            )  # fmt: skip
            (folder / "grasps" / hand).mkdir(parents=True, exist_ok=True)
            write_grasps(folder / "grasps" / hand / f"{name}.h5", labelled)
    return folder


@pytest.fixture(scope="module")
def items(folder, tmp_path_factory):
    hands = grippers_in(folder, ["panda"])
    return read_items(folder, hands, tmp_path_factory.mktemp("kept"), Recipe(0, 1, 1))


def test_items_hold_the_contents_of_the_files(folder, items):
    assert [item.name for item in items] == ["a", "b"]
    for item in items:
        assert len(item.surfaces) == 2
        assert item.samples is None
        assert torch.equal(item.candidates.success, item.candidates.poses[:, 0, 3] > 0)
        assert (item.held[:, 0, 3] > 0).all()
        weight = Weight(0.1, np.zeros(3))
        load = squared_load(item.candidates.poses, load_gripper("panda"), weight)
        torch.testing.assert_close(item.candidates.squared_load, load)
        assert load.max() > 0
    # A view shows at most three of the six sides.
    whole, seen = (surface.values[0, :, 0].sum() for surface in items[1].surfaces)
    assert seen < 0.75 * whole
    with pytest.raises(InputError, match="no labelled grasps for robotiq_2f_140"):
        grippers_in(folder, ["robotiq_2f_140"])
    assert [hand.name for hand in grippers_in(folder, [])] == ["panda", "robotiq_2f_85"]


def test_labels_of_another_description_of_the_gripper_are_refused(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path, panda = copy / "grasps" / "panda" / "a.h5", load_gripper("panda")
    labelled = dataclasses.replace(read_grasps(path), sampler={"gripper_sha256": panda.sha256})
    write_grasps(path, labelled)
    assert len(read_items(copy, [panda], tmp_path / "kept", Recipe(0, 1, 0))) == 2
    other = dataclasses.replace(panda, stroke=0.081)
    with pytest.raises(InputError, match=r"a\.h5 was labelled with another description .* panda"):
        read_items(copy, [other], tmp_path / "kept", Recipe(0, 1, 0))
    with pytest.raises(InputError, match="the gripper panda is given more than once"):
        grippers_in(copy, ["panda", "panda"])


def test_surfaces_are_made_once_and_reused(folder, tmp_path):
    hands = grippers_in(folder, ["panda"])
    made = read_items(folder, hands, tmp_path, Recipe(0, 1, 0))
    files = sorted(tmp_path.iterdir())
    when = [path.stat().st_mtime_ns for path in files]
    again = read_items(folder, hands, tmp_path, Recipe(0, 1, 0))
    assert [path.stat().st_mtime_ns for path in files] == when
    for one, other in zip(made, again, strict=True):
        assert torch.equal(one.surfaces[0].points, other.surfaces[0].points)
    more = read_items(folder, hands, tmp_path, Recipe(0, 2, 0))
    assert len(more[0].surfaces) == 2


def test_samples_of_a_field_are_read_beside_the_candidates(folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for weights in ("one", "two"):
        (copy / "samples" / weights).mkdir(parents=True)
        shutil.copytree(copy / "grasps" / "panda", copy / "samples" / weights / "panda")
    item, _ = read_items(copy, grippers_in(copy, ["panda"]), tmp_path / "kept", Recipe(0, 1, 0))
    assert item.samples is not None
    assert torch.equal(item.samples.poses, torch.cat([item.candidates.poses] * 2))


def test_an_object_is_held_out_for_every_gripper_or_none(items):
    many = [dataclasses.replace(i, sha256=f"{n:064x}") for n in range(12) for i in items[:2]]
    train, validation = split(many, 4)
    assert {int(item.sha256, 16) for item in validation} == {0, 4, 8}
    assert len(train) == 18 and len(validation) == 6


def test_draws_are_turned_half_of_the_time(items):
    held = draw_held(items[0], 64, seeded(1))
    assert (held[:, 0, 3] > 0).all()  # turning about the approach axis leaves the position
    assert 10 < (held[:, 0, 0] < 0).sum() < 54
    tried = draw_tried(items[0], 64, seeded(1))
    assert torch.equal(tried.success, tried.poses[:, 0, 3] > 0)
    # Half of the draws are samples, however many samples and candidates there are.
    few = Tried(
        items[0].candidates.poses[:3] + 0, torch.zeros(3, dtype=torch.bool), torch.arange(3.0)
    )
    both = dataclasses.replace(items[0], samples=few)
    drawn = draw_tried(both, 64, seeded(1))
    assert not drawn.success[32:].any()
    for pose, load in zip(drawn.poses[32:], drawn.squared_load[32:], strict=True):
        assert torch.equal(pose[:3, 3], few.poses[int(load), :3, 3])


def test_the_denoising_target_includes_turned_grasps(items, monkeypatch):
    """The target is the score of a mixture that contains each grasp and the same turned by π."""
    seen = []
    monkeypatch.setattr(
        GraspField,
        "denoising_loss",
        lambda self, held, others, *rest: seen.append(others) or torch.zeros(()),
    )
    model = GraspField.initialized(CONFIG, 0)
    FieldObjective(model, items, items, networks=["energy"]).loss(model, [0], [seeded(0)])
    straight, turned = seen[0].chunk(2, dim=1)
    assert straight.shape[1] == OTHERS
    torch.testing.assert_close(turned, straight @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0])))


def test_the_success_loss_applies_the_load(field, of_bar):
    """Labels already reflect the weight, so the loss compares them with the odds under the load."""
    model = GraspField.initialized(CONFIG, 3)
    model.success.load_exponent.fill_(1.5)
    at, load = poses(6)[None], torch.arange(6.0)[None]
    at[..., :3, 3] -= of_bar.centre
    success = torch.tensor([[1.0, 0.0, 1.0, 0.0, 0.0, 1.0]])
    sigma = torch.full((1, 6), CONFIG.sigma_min)
    logits = model.success(at, sigma, of_bar.condition.probes, of_bar.condition.surface)
    odds = logits.exp() / (1 + load) ** 0.75
    told = odds / (1 + odds)
    expected = -torch.where(success > 0, told.log(), (1 - told).log()).mean()
    torch.testing.assert_close(model.success_loss(at, success, load, of_bar.condition), expected)


def test_inputs_are_standardized(items):
    """The features of examples then have mean 0 and deviation 1, or less if they hardly vary."""
    model = GraspField.initialized(CONFIG, 0)
    FieldObjective(model, items, items, grasps=64).standardize(0)
    perceptron, (item, _) = model.energy.perceptron, items
    generator = seeded(5)
    held = torch.stack([draw_held(item, 400, generator)])
    held[..., :3, 3] -= item.surfaces[0].centre
    level = Level(*(v.float() for v in model.schedule(model.schedule.random_times(400, generator))))
    moved = perturb(model.space, held[0], level, generator)[None]
    seen = features(moved, level.sigma[None] * 0.1, item.probes, item.surfaces[0])
    scaled = (seen - perceptron.mean) / perceptron.deviation
    assert 0.5 < scaled.std(1).median() < 1.5
    assert scaled.mean(1).abs().median() < 0.5


def test_training_lowers_both_losses(items):
    model = GraspField.initialized(CONFIG, 0)
    objective = FieldObjective(model, items, items, grasps=32)
    objective.standardize(0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    with torch.no_grad():
        before = objective.validation_loss(model.eval(), seeded(9))
    model.train()
    for step in range(60):
        optimizer.zero_grad()
        generators = [seeded(0, step, place) for place in range(2)]
        accumulate_gradient(
            lambda chosen, g: objective.loss(model, chosen, g), [0, 1], generators, 0, "cpu", False
        )
        optimizer.step()
    with torch.no_grad():
        after = objective.validation_loss(model.eval(), seeded(9))
    assert after["denoising"] < 0.9 * before["denoising"]
    assert after["cross_entropy"] < 0.8 * before["cross_entropy"]


def test_an_object_without_grasps_trains_the_success_network_alone(items):
    """It counts in the cross entropy, but the denoising loss is the other object's alone."""
    nothing = Tried(items[1].candidates.poses, torch.zeros(40, dtype=torch.bool), torch.zeros(40))
    both = [items[0], dataclasses.replace(items[1], candidates=nothing)]
    model = GraspField.initialized(CONFIG, 0)

    def losses(*chosen):
        objective = FieldObjective(model, both, both, grasps=8)
        return objective.loss(model, list(chosen), [seeded(0, place) for place in chosen])

    alone, together = losses(0), losses(0, 1)
    torch.testing.assert_close(together["denoising"], alone["denoising"])
    assert losses(1)["denoising"] == 0
    mean = (alone["cross_entropy"] + losses(1)["cross_entropy"]) / 2
    torch.testing.assert_close(together["cross_entropy"], mean)


@pytest.mark.parametrize("name", ["energy", "success"])
def test_one_network_is_trained_without_the_other(items, name):
    model = GraspField.initialized(CONFIG, 0)
    objective = FieldObjective(model, items, items, grasps=8, networks=[name])
    objective.loss(model, [0, 1], [seeded(0), seeded(1)])["loss"].backward()
    trained = {part for part, p in model.named_parameters() if p.grad is not None}
    assert trained and all(part.startswith(name) for part in trained)
