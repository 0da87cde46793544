"""The engines are loaded by trials only: sampling and reading the protocol work without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import grasp.physics
import grasp.simulation
from grasp.grippers.gripper import Gripper
from grasp.physics.hydroelastic import simulate_hydroelastic
from pcdiff.errors import InputError
from tests.physics.conftest import box, hold

ROOT = Path(__file__).resolve().parents[2]

SAMPLING = """
import numpy as np
import torch
from grasp import GraspField
from grasp.objects.object import Object

points = np.random.default_rng(0).normal(size=(400, 3))
points /= np.linalg.norm(points, axis=1, keepdims=True)
field = GraspField.from_pretrained("panda").condition(Object.from_points(0.02 * points, points))
field.sample(2, torch.Generator().manual_seed(0))
"""


@pytest.mark.parametrize(
    "program",
    [
        "import grasp.physics; assert grasp.physics.PROTOCOL.version == '3'",
        "from grasp.simulation import PROTOCOL, simulate",
        "import grasp.physics.hydroelastic",
        SAMPLING,
    ],
    ids=["physics", "simulation", "hydroelastic", "sampling"],
)
def test_no_engine_is_loaded(program: str) -> None:
    check = "assert not {'mujoco', 'pydrake'} & {*sys.modules}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\n{check}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_missing_drake_is_one_sentence(panda: Gripper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydrake", None)
    with pytest.raises(InputError, match=r"not installed: install pcdiff-grasp\[drake\]"):
        simulate_hydroelastic(box(0.03, 0.03, 0.03), panda, hold()[None])


def test_names_under_their_path_of_version_0_1_0() -> None:
    for name in grasp.simulation.__all__:
        now = "label_digests" if name == "conditions" else name
        assert getattr(grasp.simulation, name) is getattr(grasp.physics, now)
    with pytest.raises(AttributeError, match=r"grasp\.simulation' has no attribute 'tries'"):
        grasp.simulation.tries  # noqa: B018
