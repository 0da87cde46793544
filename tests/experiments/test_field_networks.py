"""How the experiment on networks reads a ranking, compared with results worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments import field_networks
from grasp.field.configuration import FieldConfig
from grasp.field.networks.energy import NetworkConfig
from grasp.field.trained import GraspField
from grasp.judging.coverage import PrecisionCoverage

CURVE = PrecisionCoverage(
    precision=np.array([1.0, 0.5, 2 / 3, 0.75]), coverage=np.array([0.1, 0.1, 0.3, 0.4])
)


@pytest.mark.parametrize(
    ("coverage", "precision"), [(0.1, 1.0), (0.2, 2 / 3), (0.3, 2 / 3), (0.4, 0.75), (0.41, None)]
)
def test_precision_is_that_of_the_shortest_prefix_that_reaches_the_coverage(coverage, precision):
    assert field_networks.precision_at(CURVE, coverage) == precision


def test_an_empty_ranking_covers_nothing():
    assert field_networks.precision_at(None, 0.1) is None


def test_differences_between_budgets_are_listed():
    ours = {"sha256": "a", "steps": 100, "seed": 0, "validation_loss": 1.0}
    theirs = {"sha256": "a", "steps": 10, "seed": 0, "validation_loss": 2.0}
    assert field_networks.budget_differences(ours, theirs) == "steps 100 and 10"
    assert not field_networks.budget_differences(ours, ours)


def test_seconds_are_shown_for_an_energy_that_was_trained_in_a_single_run():
    training = {"networks": ["energy"], "initialized_from": None, "seconds": 12.3}
    assert field_networks.training_seconds(training) == "12"
    assert "card" in field_networks.training_seconds({**training, "initialized_from": "panda"})
    assert "card" in field_networks.training_seconds({**training, "networks": ["success"]})
    assert field_networks.training_seconds(None) == "–"


def test_every_field_is_judged_by_the_same_success_network():
    config = FieldConfig(energy=NetworkConfig(8, 2, 4), success=NetworkConfig(8, 2, 4))
    judge, field = (GraspField.initialized(config, seed) for seed in (0, 1))
    energy = {name: each.clone() for name, each in field.energy.state_dict().items()}
    judged = field_networks.with_success_of(judge, field)
    for name, each in judge.success.state_dict().items():
        torch.testing.assert_close(judged.success.state_dict()[name], each, atol=0, rtol=0)
    for name, each in energy.items():
        torch.testing.assert_close(judged.energy.state_dict()[name], each, atol=0, rtol=0)
