"""A resumed run is the uninterrupted one, to the bit."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from pcdiff.learning import checkpoint
from pcdiff.learning.trainer import BEST, LAST, LOG, train
from tests import tiny
from tests.learning.test_training import CONFIG


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("prior", ["flow", "none"])  # without a prior one head has no gradient
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, prior, bfloat16):
    """The run stops after step 7, so the steps since the checkpoint at step 5 are repeated."""
    config = replace(CONFIG, bfloat16=bfloat16)
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    tiny.run(train(tiny.cloud_objective(prior), config, straight))
    tiny.run(train(tiny.cloud_objective(prior), config, resumed), until=7)
    assert tiny.state(resumed)[0] == 5
    tiny.run(train(tiny.cloud_objective(prior), config, resumed, resume=True))
    kinds = {LAST: "training-state", BEST: "point-cloud-generator"}
    for name, kind in kinds.items():
        ours, theirs = (checkpoint.load(folder / name, kind) for folder in (resumed, straight))
        assert tiny.same(ours[1], theirs[1])
        for header in (ours[0], theirs[0]):
            del header["progress" if name == LAST else "training"]["seconds"]
        assert ours[0] == theirs[0]
    assert any(name.startswith("optimizer") for name in tiny.state(resumed)[1])
    assert tiny.log(resumed) == tiny.log(straight)


def test_a_resumed_run_does_not_depend_on_when_it_was_stopped(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "straight"))
    for stop in range(1, 13):
        folder = tmp_path / str(stop)
        tiny.run(train(tiny.Regression(), CONFIG, folder), until=stop)
        tiny.run(train(tiny.Regression(), CONFIG, folder, resume=True))
        assert tiny.same(tiny.state(folder)[1], tiny.state(tmp_path / "straight")[1])
        assert tiny.log(folder) == tiny.log(tmp_path / "straight")


def test_a_finished_run_resumes_into_nothing(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    before = (tmp_path / LAST).read_bytes()
    assert list(train(tiny.Regression(), CONFIG, tmp_path, resume=True)) == []
    assert (tmp_path / LAST).read_bytes() == before


def test_a_row_logged_by_a_killed_run_after_its_last_checkpoint_is_dropped(tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "straight"))
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "killed"), until=5)
    # The log is written before the state, so a kill between the two leaves this pair.
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "later"), until=10)
    shutil.copy(tmp_path / "later" / LOG, tmp_path / "killed" / LOG)
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "killed", resume=True))
    assert tiny.log(tmp_path / "killed") == tiny.log(tmp_path / "straight")


def test_another_machine_may_round_the_data_s_statistics_differently(tmp_path):
    """Sums depend on the thread count in the last bit, which does not make another model."""
    task = tiny.Regression()
    task.description["model"]["standardization"] = {"mean": [0.25, 0.0], "deviation": 0.5775012970}
    tiny.run(train(task, CONFIG, tmp_path), until=5)
    task = tiny.Regression()
    task.description["model"]["standardization"] = {"mean": [0.25, 0.0], "deviation": 0.5775013566}
    tiny.run(train(task, CONFIG, tmp_path, resume=True))
    assert tiny.state(tmp_path)[0] == 12
