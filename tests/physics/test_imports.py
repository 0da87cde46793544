"""MuJoCo is loaded by trials only: sampling a field and reading the protocol work without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import grasp.physics
import grasp.simulation

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
        "import grasp.physics; assert grasp.physics.PROTOCOL.version == '2'",
        "from grasp.simulation import PROTOCOL, simulate",
        SAMPLING,
    ],
    ids=["physics", "simulation", "sampling"],
)
def test_mujoco_is_not_loaded(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\nassert 'mujoco' not in sys.modules"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_names_under_their_path_of_version_0_1_0() -> None:
    for name in grasp.simulation.__all__:
        now = "label_digests" if name == "conditions" else name
        assert getattr(grasp.simulation, name) is getattr(grasp.physics, now)
    with pytest.raises(AttributeError, match=r"grasp\.simulation' has no attribute 'tries'"):
        grasp.simulation.tries  # noqa: B018
