"""The physics of an evaluation: which candidates are positives, and which facts decide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grasp.judging import laboratory
from grasp.judging.benchmark import Case
from grasp.judging.laboratory import FRAGILE, open_laboratory
from grasp.physics import PROTOCOL, PROTOCOLS, Conditions, RobustTrials, Trials, load_uncertainty
from pcdiff.errors import InputError
from tests.physics.conftest import box, hanging, hold

CUBE = box(0.03, 0.03, 0.03)
PLAIN = ["collides", "collides_hidden", "collides_table", "straight_approach", "lift"]


def test_a_candidate_that_fails_in_most_draws_is_fragile(panda, monkeypatch):
    """Of 6 grasps, 1 fails at the protocol's settings; the others succeed in 0 to 4 of 4 draws."""
    failure = np.array(["", "", "missed", "", "", ""])
    draws = np.array([["", "", "dropped", ""], ["missed"] * 4, ["", "", "dropped", "dropped"],
        ["", "dropped", "dropped", "dropped"], [""] * 4])  # fmt: skip
    poses = np.tile(np.eye(4), (6, 1, 1))
    poses[:, 0, 3] = np.arange(6)
    given = Conditions(density=321.0)

    def simulate(obj, gripper, tried, *, conditions, protocol, pool, progress):
        assert (conditions, protocol) == (given, PROTOCOLS["2"])
        return Trials(failure == "", failure, np.zeros(6), "2", 0.1, 1.0)

    def simulate_robust(obj, gripper, tried, *, conditions, uncertainty, protocol, pool):
        assert (conditions, protocol) == (given, PROTOCOLS["2"])
        assert tried[:, 0, 3].tolist() == [0, 1, 3, 4, 5]  # only those that may be robust
        return RobustTrials(draws, uncertainty.version, "2", 0.1)

    monkeypatch.setattr(laboratory, "simulate", simulate)
    monkeypatch.setattr(laboratory, "simulate_robust", simulate_robust)
    with open_laboratory(given, PROTOCOLS["2"]) as lab:
        found = lab.labeller(CUBE, panda, poses)
        assert lab.simulator(CUBE, panda, poses).failure.tolist() == failure.tolist()
    assert found.failure.tolist() == ["", FRAGILE, "missed", "", FRAGILE, ""]
    assert found.success.tolist() == [True, False, False, True, False, True]
    assert (found.protocol, found.mass, found.friction) == ("2", 0.1, 1.0)
    with open_laboratory(given, PROTOCOLS["2"], robustly=False) as lab:
        assert lab.labeller(CUBE, panda, poses).failure.tolist() == failure.tolist()


def test_robust_trials_are_not_run_for_candidates_that_all_fail(panda, monkeypatch):
    def never(*args, **options):
        raise AssertionError("no candidate can be robust")

    monkeypatch.setattr(laboratory, "simulate_robust", never)
    with open_laboratory(Conditions(), PROTOCOL) as lab:
        found = lab.labeller(CUBE, panda, np.stack([hold((0.0, 0.1, 0.0)), hold((0.04, 0, 0))]))
    assert found.failure.tolist() == ["missed", "collision"]


def test_a_weight_that_only_the_named_friction_bears_is_fragile(panda):
    """Coulomb: at the protocol's settings, 95 % of 2·μ·F; in most draws, more than 2·μ·F."""
    hung, uncertain = hanging(PROTOCOL), load_uncertainty()
    force = hung.finger_force(panda.max_force)

    def overloaded(share):
        draws = uncertain.draws()
        load = [share * d.mass * PROTOCOL.friction / (d.friction * d.force) for d in draws]
        return np.mean(np.array(load) > 1.1)

    for share, failure in ((0.95, FRAGILE), (0.1, "")):
        assert overloaded(share) > 0.5 if failure else overloaded(share) == 0
        mass = share * 2 * PROTOCOL.friction * force / PROTOCOL.gravity
        with open_laboratory(Conditions(mass=mass), hung) as lab:
            assert lab.simulator(CUBE, panda, hold()[None]).failure.tolist() == [""]
            assert lab.labeller(CUBE, panda, hold()[None]).failure.tolist() == [failure]


def test_what_decides_about_labels():
    protocol, version = PROTOCOLS["2"], load_uncertainty().version
    facts = {"protocol": "2", "density": protocol.density, "friction": protocol.friction}
    with open_laboratory(Conditions(), protocol) as lab:
        assert lab.facts == facts | {"uncertainty": version}
        assert [each.name for each in lab.measures] == ["robust", *PLAIN]
    with open_laboratory(Conditions(density=5.0, friction=0.3), protocol, robustly=False) as lab:
        assert lab.facts == facts | {"density": 5.0, "friction": 0.3}
        assert [each.name for each in lab.measures] == PLAIN
    with open_laboratory(Conditions(), PROTOCOL, engine="drake") as lab:
        assert [each.name for each in lab.measures] == ["robust", "drake", *PLAIN]
        assert lab.facts["protocol"] == PROTOCOL.version


def test_the_friction_of_the_protocol_may_be_stated_for_robust_trials(panda):
    """As `EvaluationRequest` states it; the draws replace it."""
    still, poses = dataclasses.replace(PROTOCOL, motions=()), hold()[None]
    case, stated = Case("cube", "cube", CUBE, CUBE), Conditions(mass=0.1).under(PROTOCOL)
    assert stated.friction == PROTOCOL.friction
    with open_laboratory(stated, still) as lab:
        trials = lab.simulator(CUBE, panda, poses)
        assert lab.measures[0].of(case, panda, poses, trials).tolist() == [1.0]


@pytest.mark.parametrize(
    ("conditions", "options", "sentence", "parameter"),
    [
        (
            Conditions(friction=0.3), {},
            "robust success draws the friction, so it takes none, got 0.3", "friction",
        ),
        (Conditions(), {"engine": "flex"}, "the engine must be drake, got 'flex'", "engine"),
        (Conditions(), {"workers": 0}, "physics needs at least 1 worker, got 0", None),
    ],
)  # fmt: skip
def test_what_a_laboratory_refuses(conditions, options, sentence, parameter):
    with (
        pytest.raises(InputError) as caught,
        open_laboratory(conditions, PROTOCOL, **options),
    ):
        pass
    assert str(caught.value).startswith(sentence)
    if parameter is not None:
        assert caught.value.parameter == parameter
