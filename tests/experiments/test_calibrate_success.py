"""The calibration of returned grasps: which objects it uses, and that it undoes a known error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datasets.household import make_set, write_set
from experiments import calibrate_success
from experiments.calibrate_success import VALIDATION, Case, Tried, calibrate, validation_cases
from grasp.field import items
from grasp.field.configuration import FieldConfig
from grasp.field.items import SCANS
from grasp.field.model import KIND
from grasp.field.networks.energy import NetworkConfig
from grasp.field.networks.probes import probes
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint

TINY = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set of simple objects, each with a scan."""
    path = tmp_path_factory.mktemp("set")
    entries = write_set(path, make_set(40, 5, ["box", "ring"]), {"maker": "test"}, "MIT")
    (path / SCANS).mkdir()
    for entry in entries:
        (path / SCANS / (path / entry.file).name).write_bytes((path / entry.file).read_bytes())
    return path


def test_the_cases_are_the_validation_objects_of_training(folder):
    found = list(validation_cases([folder]))
    objects = {path: load_object(path) for path in (folder / "meshes").glob("*.obj")
               if "parts" not in path.name}  # fmt: skip
    nothing = items.Tried(torch.zeros(0, 4, 4), torch.zeros(0, dtype=torch.bool), torch.zeros(0))
    hand = probes(load_gripper("panda"))
    made = [
        items.Item(str(path), obj.sha256, (), torch.zeros(0, 4), hand, nothing, None)
        for path, obj in objects.items()
    ]
    _, validation = items.split(made, VALIDATION)
    assert {str(case.mesh) for case in found} == {item.name for item in validation}
    assert 0 < len(validation) < len(made)
    assert [case.seen.parent.name for case in found[:2]] == ["meshes", SCANS]


def test_the_two_numbers_undo_a_known_error(folder, tmp_path, monkeypatch):
    """Outcomes follow logits 0.5·l − 0.4, so this scale and this shift are found and written."""
    rng = np.random.default_rng(0)

    def tried(weights, seed, case):
        logit = rng.normal(1, 2, 4000)
        success = rng.uniform(size=4000) < 1 / (1 + np.exp(-(0.5 * logit - 0.4)))
        return Tried(1 / (1 + np.exp(-logit)), success)

    monkeypatch.setattr(calibrate_success, "tried", tried)
    monkeypatch.setattr(calibrate_success, "cores", lambda: 1)
    before = GraspField.initialized(TINY, 0)
    checkpoint.save(
        tmp_path / "a.safetensors", KIND, {"model": TINY.as_dict()}, before.state_dict()
    )
    found = calibrate(tmp_path / "a.safetensors", tmp_path / "b.safetensors", [folder], 0)
    assert found["scale"] == pytest.approx(0.5, abs=0.03)
    assert found["shift"] == pytest.approx(-0.4, abs=0.06)
    after = GraspField.from_pretrained(tmp_path / "b.safetensors")
    bias = found["scale"] * before.success.perceptron.last.bias + found["shift"]
    assert after.success.perceptron.last.bias.item() == pytest.approx(bias.item(), rel=1e-5)
    assert all(row["after"] < 0.05 < row["before"] for row in found["by"].values())
    with pytest.raises(InputError, match="already calibrated"):
        calibrate(tmp_path / "b.safetensors", tmp_path / "c.safetensors", [folder], 0)


def test_a_refused_object_adds_no_grasps(folder, tmp_path):
    """A block of 12 cm at its narrowest is too wide for the hand."""
    from trimesh.creation import box

    mesh = tmp_path / "block.obj"
    box((0.12, 0.13, 0.14)).export(mesh)
    found = calibrate_success.tried("panda-0.1", 0, Case(mesh, mesh, 0.5))
    assert len(found.probability) == len(found.success) == 0
