"""Further measures in a report, and reports on the cases of a set, with figures known exactly."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from grasp.formats import Grasps
from grasp.judging.benchmark import Case
from grasp.judging.evaluation import Budget, Judge, evaluate
from grasp.judging.measures import Measure
from grasp.judging.proportions import cluster_bootstrap
from grasp.judging.report import FIGURES, figures_of
from tests.judging.known import (
    THICK,
    THIN,
    judge,
    labelled,
    physics,
    plate,
    row,
)


def measure(name, values, *, success=False):
    """A measure with given values for the first grasps, or None if it does not apply."""

    def of(case, gripper, poses, trials):
        return None if values is None else np.array(values(case))[: len(poses)]

    return Measure(name, f"the {name}", of, success)


def test_means_of_measures_ignore_what_was_not_measured(panda):
    shares = np.where(np.arange(30) % 3 == 0, np.arange(30) / 100, np.nan)
    measures = (
        measure("sure", lambda case: shares, success=True),
        measure("part", lambda case: shares),
        measure("late", lambda case: [np.nan] * 25 + [0.5] * 5, success=True),
        measure("never", lambda case: [np.nan] * 30),
        measure("elsewhere", None),
    )
    report = judge(row(30), panda, measures=measures)
    assert report.keys == figures_of(measures) == (
        *FIGURES, "sure_all", "sure_top20", "part", "late_all", "late_top20", "never", "elsewhere",
        "cpu_seconds",
    )  # fmt: skip
    record = report.as_dict()
    assert tuple(report.judgements[0].figures(measures)) == report.keys
    for figures in (record, record["by_object"][0]):
        assert (
            figures["sure_all"] == figures["part"] == pytest.approx(np.mean(range(0, 30, 3)) / 100)
        )
        assert figures["sure_top20"] == pytest.approx(np.mean(range(0, 20, 3)) / 100)
        assert (figures["late_all"], figures["late_top20"]) == (0.5, 0.0)
        assert figures["never"] is None and figures["elsewhere"] is None
    head = report.table().splitlines()[0]
    titles = [title.strip() for title in head.split("|")]
    assert titles[titles.index("the sure, %") :][:3] == ["the sure, %", "top 20, %", "the part, %"]
    assert "the elsewhere, %" not in titles
    assert "success (protocol 7), %" in titles
    json.dumps(record, allow_nan=False)


def test_a_source_without_grasps_has_no_success_of_any_kind(panda):
    """But nothing is known about shares of its grasps."""
    measures = (
        measure("sure", lambda case: np.full(4, 0.8), success=True),
        measure("part", lambda case: np.full(4, 0.6)),
    )

    def source(obj, count, rng):
        return Grasps(row(0), reason="none") if obj is THIN else Grasps(row(4))

    by = Judge(physics, measures, labels=labelled(40))
    report = evaluate(source, [THIN, THICK], panda, by, name="test")
    refused, given = report.as_dict()["by_object"]
    assert (refused["sure_all"], refused["sure_top20"], refused["part"]) == (0.0, 0.0, None)
    assert (given["sure_all"], given["sure_top20"], given["part"]) == pytest.approx((0.8, 0.8, 0.6))
    assert report.overall["sure_all"].value == pytest.approx(0.4)
    assert report.overall["part"] == pytest.approx(0.6)  # of one object, so without an interval


def test_intervals_are_over_the_groups_of_the_cases(panda):
    """Two poses of one object and one pose of another are two draws, of two values and of one."""
    held = {"thin-1": 10, "thin-2": 4, "thick": 1}
    seen = {name: plate(0.02 + 0.001 * n, f"seen-{name}") for n, name in enumerate(held)}
    cases = [
        Case(name, name.split("-")[0], THICK if name == "thick" else THIN, seen[name])
        for name in held
    ]
    labels = []

    def source(obj, count, rng):
        good = held[obj.name.removeprefix("seen-")]
        return Grasps(np.concatenate([row(good), row(10 - good, y=1.0)]))

    def labelling(obj):
        labels.append(obj.name)
        return labelled(40)(obj)

    measures = (measure("named", lambda case: np.full(10, held[case.name] / 20)),)
    by = Judge(physics, measures, labels=labelling)
    report = evaluate(source, cases, panda, by, name="test", budget=Budget(seed=3))
    assert labels == ["thin", "thick"]  # once for each truth
    assert [(each.name, each.group, each.sha256) for each in report.judgements] == [
        ("thin-1", "thin", THIN.sha256),
        ("thin-2", "thin", THIN.sha256),
        ("thick", "thick", THICK.sha256),
    ]
    for key, factor in (("success_all", 1.0), ("named", 0.5)):
        groups = [factor * np.array([1.0, 0.4]), factor * np.array([0.1])]
        expected = cluster_bootstrap(groups, np.random.default_rng([3, 4]))
        assert report.overall[key] == pytest.approx(expected)
    assert report.overall["success_all"].value == pytest.approx(0.5)
    # Cases of a single group have a mean, but no interval.
    single = evaluate(source, cases[:2], panda, by, name="test").overall
    assert single["success_all"] == pytest.approx(0.7)
    assert single["named"] == pytest.approx(0.35)


def test_the_cpu_time_is_that_of_the_source(panda):
    def slow(obj, count, rng):
        begin = time.process_time()
        while time.process_time() - begin < 0.05:
            pass
        return Grasps(row(3))

    by = Judge(physics, labels=labelled(40))
    (found,) = evaluate(slow, [THIN], panda, by, name="test").judgements
    assert 0.05 <= found.cpu_seconds < 0.5
    assert found.figures()["cpu_seconds"] == found.cpu_seconds
    np.testing.assert_array_equal(found.poses, row(3))
