"""The comparison of two engines, against numbers computed by hand."""

import dataclasses

import numpy as np
import pytest

from experiments.second_engine import (
    PANEL,
    Case,
    Comparison,
    causes,
    depths,
    draw_disagreements,
    figures,
    kappa,
    kappa_interval,
    largest_disagreements,
    table,
)
from tests.physics.conftest import box, hold


def test_kappa_of_a_known_table():
    # Cohen (1960): 20 and 15 of 50 agree; the engines say success in 25 and 30 of 50.
    one = np.array([True] * 25 + [False] * 25)
    other = np.array([True] * 20 + [False] * 5 + [True] * 10 + [False] * 15)
    assert kappa(one, other) == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    assert kappa(one, one) == 1
    assert kappa(one, ~one) == -1
    assert np.isnan(kappa(np.ones(3, bool), np.ones(3, bool)))


def test_the_interval_of_kappa_has_the_width_of_its_standard_error(rng):
    # For balanced outcomes, κ = 2·p - 1, so the deviation of κ is twice that of the agreement p.
    one = np.tile([True, False], 200)
    other = np.where(np.arange(400) % 20 < 4, ~one, one)  # 80 % agree
    low, high = kappa_interval(one, other, rng)
    deviation = 2 * np.sqrt(0.8 * 0.2 / 400)
    assert (low + high) / 2 == pytest.approx(0.6, abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def comparison(name, side, first, second):
    poses = np.tile(hold(), (len(first), 1, 1))
    case = Case(name, box(side, side, side), poses, None, None)
    return Comparison(case, np.array(first), np.array(second))


SETS = [
    comparison("equal", 0.02, ["", "dropped"], ["", "missed"]),
    comparison("some", 0.03, ["collision", "", "", "missed"], ["", "", "dropped", "missed"]),
    comparison("same object", 0.03, ["", "", "", ""], ["", "", "", "missed"]),
    comparison("most", 0.04, ["missed", "", "missed"], ["", "dropped", ""]),
]


def test_the_largest_disagreements_are_of_different_objects():
    chosen = largest_disagreements(SETS, 5)
    assert [(each.case.name, index) for each, index in chosen] == [("most", 0), ("some", 2)]
    assert len(largest_disagreements(SETS, 1)) == 1


def test_a_picture_has_one_panel_for_each_grasp(monkeypatch):
    small = dataclasses.replace(PANEL, width=60, height=50, samples=1)
    monkeypatch.setattr("experiments.second_engine.PANEL", small)
    assert draw_disagreements(largest_disagreements(SETS, 5)).shape == (50 + 3 * 12, 120, 3)


def test_the_depth_of_a_grasp_is_measured_from_the_tips():
    # The tips are 8.8 mm ahead of the tool centre point; the cube begins 10 mm before its middle.
    poses = np.stack([hold(), hold((0, 0, -0.012)), hold((0, 0, -0.03)), hold((0, 0.05, 0))])
    found = depths(box(0.02, 0.02, 0.02), poses)
    np.testing.assert_allclose(found, [0.0188, 0.0068, 0.0, 0.0], atol=2e-4)


def test_figures_and_their_table():
    first, second = np.array(["", "", "missed"]), np.array(["", "dropped", "missed"])
    row = figures(first, second, np.array([True, False, False]))
    assert row["agreement"] == pytest.approx(2 / 3)
    assert row["labels_mujoco"]["balanced_accuracy"] == 0.75
    assert row["labels_drake"]["balanced_accuracy"] == 1
    alone = figures(first[:1], second[:1], np.array([True]))
    assert alone["kappa"] is None
    lines = table({"three": row, "one": alone}).splitlines()
    assert lines[2].startswith("| three | 3 | 0.67 | 0.33 | 0.67 |")
    assert lines[2].endswith("| 0.750 (1.00, 0.50) | 1.000 (1.00, 1.00) |")
    assert lines[3].endswith("| – | recall 1.00 | recall 1.00 |")
    assert causes(first, second).splitlines()[2:] == [
        "| success | 1 | 1 | 0 |", "| dropped | 0 | 0 | 0 |", "| missed | 0 | 0 | 1 |",
    ]  # fmt: skip
