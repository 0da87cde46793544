"""The training data of a field, and the objective that trains it."""

from __future__ import annotations

import dataclasses
import math
import shutil

import numpy as np
import pytest
import torch
from trimesh.creation import box

from grasp.field.configuration import FieldConfig
from grasp.field.items import Tried, grippers_in, read_items, split
from grasp.field.networks.energy import NetworkConfig, features
from grasp.field.objective import (
    NETWORKS,
    OTHERS,
    EnergyLoss,
    FieldObjective,
    _about,
    _condition,
    draw_held,
    draw_tried,
)
from grasp.field.prepared import Recipe
from grasp.field.trained import GraspField
from grasp.field.weight import PADS, Weight, squared_load
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from pcdiff.diffusion.process import perturb
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.learning.trainer import accumulate_gradient
from pcdiff.randomness import seeded

CONFIG = FieldConfig(energy=NetworkConfig(32, 2, 8), success=NetworkConfig(16, 2, 8))


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
        load = squared_load(item.candidates.poses, load_gripper("panda"), weight, PADS["3"])
        torch.testing.assert_close(item.candidates.squared_load, load)
        assert load.max() > 0
    # A view shows at most three of the six sides.
    whole, seen = (surface.values[0, :, 0].sum() for surface in items[1].surfaces)
    assert seen < 0.75 * whole
    with pytest.raises(InputError, match="no labelled grasps for robotiq_2f_140"):
        grippers_in(folder, ["robotiq_2f_140"])
    assert [hand.name for hand in grippers_in(folder, [])] == ["panda", "robotiq_2f_85"]


def test_labels_of_another_description_of_the_gripper_are_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    path, panda = copy / "grasps" / "panda" / "a.h5", load_gripper("panda")
    labelled = dataclasses.replace(read_grasps(path), sampler={"gripper_sha256": panda.sha256})
    write_grasps(path, labelled)
    assert len(read_items(copy, [panda], tmp_path / "kept", Recipe(0, 1, 0))) == 2
    other = dataclasses.replace(panda, stroke=0.081)
    with pytest.raises(InputError, match=r"a\.h5 was labelled with another description .* panda"):
        read_items(copy, [other], tmp_path / "kept", Recipe(0, 1, 0))
    with pytest.raises(InputError, match="only once, got the gripper panda more than once"):
        grippers_in(copy, ["panda", "panda"])


def test_a_mesh_that_changed_since_it_was_labelled_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    box((0.06, 0.04, 0.1)).export(copy / "b.obj")
    with pytest.raises(InputError, match=r"b\.obj has changed since its grasps were labelled"):
        read_items(copy, grippers_in(copy, ["panda"]), tmp_path / "kept", Recipe(0, 1, 0))


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
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for weights in ("one", "two"):
        (copy / "samples" / weights).mkdir(parents=True)
        shutil.copytree(copy / "grasps" / "panda", copy / "samples" / weights / "panda")
    item, _ = read_items(copy, grippers_in(copy, ["panda"]), tmp_path / "kept", Recipe(0, 1, 0))
    assert item.samples is not None
    assert torch.equal(item.samples.poses, torch.cat([item.candidates.poses] * 2))


def test_items_state_the_protocols_of_their_labels(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)

    def protocols(kept):
        return [
            item.protocols
            for item in read_items(
                copy, grippers_in(copy, ["panda"]), tmp_path / kept, Recipe(0, 1, 0)
            )
        ]

    assert protocols("none") == [("unknown",), ("unknown",)]
    for name, version in (("a", "3"), ("b", "2")):
        path = copy / "grasps" / "panda" / f"{name}.h5"
        write_grasps(path, dataclasses.replace(read_grasps(path), protocol=version))
    assert protocols("stated") == [("3",), ("2",)]
    sampled = copy / "samples" / "one" / "panda"
    shutil.copytree(copy / "grasps" / "panda", sampled)
    write_grasps(sampled / "a.h5", dataclasses.replace(read_grasps(sampled / "a.h5"), protocol="2"))
    assert protocols("sampled") == [("2", "3"), ("2",)]


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


def test_the_contrast_loss_is_the_cross_entropy_of_each_grasp_at_its_own_noise_level(items):
    """Computed again grasp by grasp; the energy is the negative logit of success."""
    model = GraspField.initialized(CONFIG, 0).eval()
    condition = _condition([item.surfaces[0] for item in items], items)
    drawn = [draw_tried(item, 12, seeded(4, place)) for place, item in enumerate(items)]
    tried = torch.stack([_about(d.poses, i.surfaces[0]) for d, i in zip(drawn, items, strict=True)])
    success = torch.stack([d.success.float() for d in drawn])
    sigma = 0.02 + 0.08 * torch.rand(success.shape, generator=seeded(5))
    terms = []
    with torch.no_grad():
        found = model.contrast_loss(tried, success, sigma, condition)
        for place, one in enumerate(condition.split()):
            for pose, level, held in zip(tried[place], sigma[place], success[place], strict=True):
                energy = model.energy(pose[None, None], level[None, None], one.probes, one.surface)
                odds = math.exp(-float(energy))
                terms.append(-math.log(odds / (1 + odds) if held else 1 / (1 + odds)))
    assert float(found) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_training_makes_the_energy_tell_successes_from_failures(items):
    model = GraspField.initialized(CONFIG, 0)
    objective = FieldObjective(model, items, items, 32, ["energy"], EnergyLoss(contrast=0.5))
    assert objective.description["data"]["contrast"] == 0.5
    objective.standardize(0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    before = objective.validation_loss(model, seeded(9))["contrast"].item()
    for step in range(40):
        optimizer.zero_grad()
        generators = [seeded(0, step, place) for place in range(2)]
        objective.loss(model, [0, 1], generators)["loss"].backward()
        optimizer.step()
    assert objective.validation_loss(model, seeded(9))["contrast"].item() < 0.7 * before


def test_the_loss_of_a_batch_is_the_mean_of_the_losses_of_its_objects(items):
    """So that processes with parts of a batch train as one process with the whole batch."""
    model = GraspField.initialized(CONFIG, 0).eval()
    objective = FieldObjective(model, items, items, 16, NETWORKS, EnergyLoss(0.5, 0.5))

    def losses(chosen):
        drawn = [seeded(3, place) for place in chosen]
        return {name: value.item() for name, value in objective.loss(model, chosen, drawn).items()}

    whole, *parts = losses([0, 1]), losses([0]), losses([1])
    assert set(whole) == {"loss", "denoising", "contrast", "cross_entropy"}
    for name, value in whole.items():
        assert value == pytest.approx(sum(part[name] for part in parts) / 2, rel=1e-4)


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
