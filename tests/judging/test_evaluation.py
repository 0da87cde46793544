"""The judge on grasps with known outcomes and positions, so every figure is known exactly."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.formats import Grasps
from grasp.judging.antipodal import sample_antipodal
from grasp.judging.evaluation import Budget, Judge, evaluate
from grasp.judging.labels import label_candidates
from grasp.judging.proportions import cluster_bootstrap, wilson_interval
from grasp.judging.report import FIGURES
from pcdiff.errors import InputError
from tests.judging.known import (
    THICK,
    THIN,
    UNFIT,
    gives,
    judge,
    labelled,
    outcomes,
    physics,
    plate,
    row,
    timeless,
)


def test_a_turn_about_the_tool_centre_point_does_not_count_as_translation(panda):
    """A turn by 14° about it leaves the pads in place but moves the base by 2.5 cm."""
    turn, tool = Rotation.from_euler("x", 14, degrees=True).as_matrix(), panda.tool_center_point
    turned = row(1)
    turned[:, :3, :3] = turn
    turned[:, :3, 3] += tool - turn @ tool
    (found,) = judge(turned, panda, positives=20).judgements
    assert found.coverage == pytest.approx(1 / 20)
    assert found.figures()["coverage_base"] == 0.0


def test_every_figure_of_one_object(panda):
    # The ranking: 5 grasps that hold and cover one positive each, 10 in collision, 5 that fail
    # although they cover one positive each, and 10 that hold but are far from all positives.
    covering = row(40)
    near_but_dropped = covering[10:15].copy()
    near_but_dropped[:, 1, 3] = 0.009
    far = row(10)
    far[:, 2, 3] = 3.0
    poses = np.concatenate([covering[:5], row(10, y=-1.0), near_but_dropped, far])
    report = judge(poses, panda)
    (found,) = report.judgements
    assert found.fits
    assert (found.positives, found.candidates, len(found.success)) == (40, 45, 30)
    assert found.success_all == pytest.approx(15 / 30)
    assert found.success_top20 == pytest.approx(5 / 20)
    assert found.coverage == pytest.approx(10 / 40)
    assert found.failures == {"collision": 10, "dropped": 5}
    precision = [1] * 5 + [5 / k for k in range(6, 21)] + [(k - 15) / k for k in range(21, 31)]
    np.testing.assert_allclose(found.curve.precision, precision)
    coverage = [1, 2, 3, 4, 5] + [5] * 10 + [6, 7, 8, 9, 10] + [10] * 10
    np.testing.assert_allclose(found.curve.coverage, np.array(coverage) / 40)
    area = (5 + sum(5 / k for k in range(16, 21))) / 40
    assert found.figures()["precision_coverage_area"] == pytest.approx(area)

    record = report.as_dict()
    assert record["success_all"] == pytest.approx(0.5)
    assert record["success_top20"] == pytest.approx(0.25)
    assert record["coverage"] == pytest.approx(0.25)
    assert record["coverage_base"] == pytest.approx(0.25)  # nothing is turned
    assert record["success_all_interval"] is None  # there is only one object
    assert record["by_object"][0]["success_all_interval"] == pytest.approx(wilson_interval(15, 30))
    assert [(p["grasps"], p["precision"]) for p in record["curve"]] == [
        (1, 1.0), (2, 1.0), (5, 1.0), (10, 0.5), (20, 0.25)
    ]  # fmt: skip
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(report.as_dict()))


def test_the_same_geometry_twice_is_refused(panda):
    again = dataclasses.replace(THIN, name="again", file="again.obj")
    with pytest.raises(InputError, match=r"again.obj has the same geometry as thin, expected each"):
        judge(row(3), panda, objects=(THIN, THICK, again))


def test_earth_movers_distance_uses_equally_many_grasps_of_each_set(panda):
    exact = judge(row(40)[::-1], panda).judgements[0]
    assert (exact.pairs, tuple(exact.distance)) == (40, (0.0, 0.0, 0.0))
    moved = row(40)
    moved[:, 2, 3] += 0.007
    found = judge(moved, panda).judgements[0].distance
    assert found.rotation == 0
    assert found.translation == pytest.approx(0.07)  # over ℓ = 0.1 m
    assert found.combined == pytest.approx(0.07)
    turned = row(40)
    turned[:, :2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    assert judge(turned, panda).judgements[0].distance.rotation == pytest.approx(math.acos(0.8))
    assert judge(row(7), panda).judgements[0].pairs == 7
    assert judge(row(40), panda, positives=25).judgements[0].pairs == 25


def test_an_object_fits_if_a_hundredth_of_its_candidates_succeed(panda):
    for positives, failing, fits in (
        (0, 5, False), (19, 1981, False), (20, 1980, True), (1, 100, False), (1, 99, True),
    ):  # fmt: skip
        report = judge(row(10), panda, labels=labelled(positives, failing))
        assert [each.fits for each in report.judgements] == [fits]
        assert set(report.overall) == ({*FIGURES, "cpu_seconds"} if fits else set())
        assert report.judgements[0].success_all == 1.0
    assert judge(row(10), panda, positives=0).judgements[0].coverage is None
    table = judge(row(10), panda, positives=0).table()
    assert "| all that fit | 0 of 1 |" in table


def test_a_source_without_grasps_scores_zero(panda):
    report = evaluate(
        gives(np.empty((0, 4, 4)), reason="too wide"), [THIN], panda,
        Judge(physics, labels=labelled(30)), name="test",
    )  # fmt: skip
    (found,) = report.judgements
    assert found.fits
    assert (found.success_all, found.success_top20, found.coverage) == (0.0, 0.0, 0.0)
    assert found.reason == "too wide"
    assert report.overall["success_all"] == 0.0
    assert "emd_combined" not in report.overall
    json.dumps(report.as_dict())
    report.table()


def test_objects_have_equal_weights_and_intervals_are_over_objects(panda):
    objects = [THIN, THICK, plate(0.01, "thinner"), plate(0.04, "unfit")]
    held = {"thin": 10, "thick": 4, "thinner": 1, "unfit": 10}
    grasps = {"thin": 10, "thick": 8, "thinner": 100, "unfit": 10}

    def source(obj, count, rng):
        good = held[obj.name]
        return Grasps(np.concatenate([row(good), row(grasps[obj.name] - good, y=1.0)]))

    def labels(obj):
        return UNFIT(obj) if obj.name == "unfit" else labelled(40)(obj)

    report = evaluate(
        source, objects, panda, Judge(physics, labels=labels), name="test", budget=Budget(seed=3)
    )
    assert [each.name for each in report.fitting] == ["thin", "thick", "thinner"]
    shares = [np.array([share]) for share in (1.0, 0.5, 0.01)]
    expected = cluster_bootstrap(shares, np.random.default_rng([3, 4]))
    assert report.overall["success_all"] == expected
    assert expected.value == pytest.approx(1.51 / 3)
    record = report.as_dict()
    assert (record["objects"], record["objects_that_fit"]) == (4, 3)
    assert record["coverage"] == pytest.approx((10 + 4 + 1) / 120)
    assert record["success_all_interval"] == [expected.low, expected.high]
    # A short ranking keeps its last value at larger cuts.
    at_10 = next(point for point in record["curve"] if point["grasps"] == 10)
    assert at_10["precision"] == pytest.approx((1.0 + 0.5 + 0.1) / 3)
    lines = report.table().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:7]] == [
        "thick", "thin", "thinner", "unfit", "all that fit"
    ]  # fmt: skip
    assert "50.3 [1.0, 100.0]" in lines[6]


def real(objects, gripper, seed=0):
    def source(obj, count, rng):
        return sample_antipodal(
            obj, gripper, count, rng, collides=lambda o, g, poses: poses[:, 0, 3] > 0.05
        )

    def upright(obj, gripper, poses):
        success = poses[:, 2, 2] < 0
        return outcomes(success, np.where(success, "", "dropped"), np.zeros(len(poses)))

    budget = Budget(50, 100, seed)
    return evaluate(source, objects, gripper, Judge(upright), name="test", budget=budget)


def test_the_other_objects_do_not_change_a_judgement(panda):
    renamed, unnamed = dataclasses.replace(THICK, name="another"), {"object": "", "group": ""}
    together = real([THIN, THICK], panda).judgements[1]
    alone = real([renamed], panda).judgements[0]
    assert timeless(alone.as_dict()) | unnamed == timeless(together.as_dict()) | unnamed
    assert 0.3 < alone.success_all < 0.7
    np.testing.assert_array_equal(alone.success, together.success)
    np.testing.assert_array_equal(alone.curve.coverage, together.curve.coverage)


def test_the_seed_determines_the_evaluation(panda):
    first, again, other = (
        timeless(real([THIN, THICK], panda, seed).as_dict()) for seed in (1, 1, 2)
    )
    assert first == again
    assert first["emd_combined"] != other["emd_combined"]


def test_labels_are_the_outcomes_in_physics(panda):
    def simulator(obj, gripper, poses):
        width = np.arange(len(poses)) / 1000
        success = np.arange(len(poses)) % 2 == 0
        return outcomes(success, np.where(success, "", "missed"), width)

    found = label_candidates(THIN, panda, simulator, count=20, seed=5)
    assert found.success.tolist() == [True, False] * 10
    assert found.failure.tolist() == ["", "missed"] * 10
    assert found.width.tolist() == [index / 1000 for index in range(20)]
    assert (found.protocol, found.gripper, found.object_sha256) == ("7", "panda", THIN.sha256)
    assert (found.mass, found.friction) == (0.25, 0.75)
    wide = plate(0.2, "wide")
    none = label_candidates(wide, panda, simulator, count=20, seed=5)
    assert len(none) == 0 and none.success.shape == (0,) and none.reason


def test_invalid_objects_grasps_and_labels_are_refused(panda):
    with pytest.raises(InputError, match="at least 1 object, got 0 objects"):
        judge(row(1), panda, objects=[])
    with pytest.raises(InputError, match="gave 6 grasps of thin, expected at most 5"):
        judge(row(6), panda, budget=Budget(samples=5))
    with pytest.raises(InputError, match="for the gripper panda, got grasps for robotiq_2f_85"):
        evaluate(
            gives(row(2), gripper="robotiq_2f_85"), [THIN], panda,
            Judge(physics, labels=labelled(30)), name="test",
        )  # fmt: skip
    with pytest.raises(InputError, match="candidates of thin must be labelled"):
        judge(row(2), panda, labels=lambda obj: Grasps(row(30)))


@pytest.mark.parametrize("budget", [{"samples": 0}, {"candidates": 0}, {"seed": -1}])
def test_a_budget_out_of_range_is_refused(budget):
    ((name, value),) = budget.items()
    shown = f"seed {value}" if name == "seed" else f"{value} {name}"
    with pytest.raises(InputError, match=f"got .*{shown}"):
        Budget(**budget)


def test_the_generator_of_the_source_depends_on_seed_and_object(panda):
    seen = {}

    def source(obj, count, rng):
        seen[seed, obj.name] = rng.random()
        return Grasps(row(1))

    for seed in (0, 5):
        evaluate(
            source, [THIN, THICK], panda, Judge(physics, labels=labelled(30)),
            name="test", budget=Budget(seed=seed),
        )  # fmt: skip
    assert seen == {
        (seed, obj.name): np.random.default_rng([seed, 2, int(obj.sha256, 16)]).random()
        for seed in (0, 5)
        for obj in (THIN, THICK)
    }
    assert len(set(seen.values())) == 4


def test_the_report_states_the_physics_of_the_trials(panda):
    def says(simulator=physics, **more):
        by = Judge(simulator, physics=more, labels=labelled(30))
        report = evaluate(gives(row(3)), [THIN, THICK], panda, by, name="test")
        return report.stamp.physics

    assert says(density=3.0) == {"protocol": "7", "friction": 0.75, "density": 3.0}
    assert list(says(density=3.0)) == ["protocol", "friction", "density"]
    for name in ("protocol", "friction"):
        with pytest.raises(InputError, match=f"physics must not state {name}, because"):
            says(**{name: "1"})

    def by_object(obj, gripper, poses):
        trials = physics(obj, gripper, poses)
        trials.friction = 0.75 if obj is THIN else 0.25
        return trials

    assert says(simulator=by_object) == {"protocol": "7", "friction": [0.25, 0.75]}

    # Without grasps the labels state the physics; without both it is unknown.
    def none(**known):
        report = evaluate(
            gives(row(0), reason="none"), [THIN], panda,
            Judge(physics, labels=lambda obj: dataclasses.replace(labelled(30)(obj), **known)),
            name="test",
        )  # fmt: skip
        return report.stamp.physics

    assert none(protocol="3", friction=0.5) == {"protocol": "3", "friction": 0.5}
    assert none() == {}


def test_a_warning_of_the_physics_is_stated_once(panda):
    def warns(obj, gripper, poses):
        trials = physics(obj, gripper, poses)
        trials.warning = None if obj is THIN else "the parts are rough"
        return trials

    objects = [THIN, THICK, plate(0.01, "thinner")]
    report = evaluate(gives(row(3)), objects, panda, Judge(warns, labels=labelled(30)), name="test")
    assert [each["warning"] for each in report.as_dict()["by_object"]] == [
        None, "the parts are rough", "the parts are rough"
    ]  # fmt: skip
    assert report.table().count("Warning: the parts are rough.") == 1
    assert "Warning" not in judge(row(3), panda).table()


@pytest.mark.parametrize(("quantity", "value"), [("protocol", "6"), ("friction", 0.5)])
def test_labels_from_other_physics_are_refused(panda, quantity, value):
    def labels(obj):
        return dataclasses.replace(labelled(30)(obj), **{quantity: value})

    with pytest.raises(InputError, match=f"of thin were tried with {quantity} {value}, but"):
        judge(row(2), panda, labels=labels)


def test_the_notes_state_how_the_figures_were_computed(panda):
    """They state the number of candidates and the number of objects behind each figure."""

    def source(obj, count, rng):
        return Grasps(row(0), reason="none") if obj is THICK else Grasps(row(3))

    report = evaluate(
        source, [THIN, THICK, plate(0.04, "unfit")], panda,
        Judge(physics, labels=lambda obj: (UNFIT if obj.name == "unfit" else labelled(40))(obj)),
        name="test", budget=Budget(candidates=3000),
    )  # fmt: skip
    assert report.overall["emd_combined"] == report.judgements[0].distance.combined
    assert report.as_dict()["objects_with_emd"] == report.matched == 1
    table = report.table()
    assert "at least 1 % of its first 2000 antipodal candidates are positives" in table
    assert "all that succeed among 3000 candidates" in table
    assert "over the 1 objects that fit and got grasps" in table
    assert "no grasp for 1 of the 2 objects that fit and for 0 of the 1 objects that do" in table
    few = dataclasses.replace(report, stamp=dataclasses.replace(report.stamp, candidates=50))
    assert "at least 1 % of its first 50 antipodal" in few.table()
