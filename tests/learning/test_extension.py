"""A finished run can be extended by further steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.learning.trainer import BEST, LAST, train
from tests import tiny
from tests.learning.test_training import CONFIG, reference

LONGER = replace(CONFIG, steps=25)


def test_an_extended_run_is_the_loop_whose_rates_change_at_the_old_end(tmp_path):
    """Against the slow loop: rates of 12 steps up to step 12, then those of 25 steps."""
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    tiny.run(train(tiny.Regression(), LONGER, tmp_path, resume=True))
    weights, averages, losses, _ = reference(LONGER, finished_at=12)
    step, tensors = tiny.state(tmp_path)
    assert step == 25
    for i, name in enumerate(("weight", "bias")):
        torch.testing.assert_close(tensors[f"model.{name}"], weights[i], rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(tensors[f"average.{name}"], averages[i], rtol=1e-11, atol=1e-12)
    rows = tiny.log(tmp_path)
    assert [float(row["step"]) for row in rows] == [5, 10, 12, 15, 20, 25]
    spans = [(0, 5), (5, 10), (10, 12), (12, 15), (15, 20), (20, 25)]
    means = [sum(losses[a:b]) / (b - a) for a, b in spans]
    assert [float(row["train_loss"]) for row in rows] == pytest.approx(means, rel=1e-11)
    rates = [CONFIG.learning_rate_at(s - 1) for s in (5, 10, 12)]
    rates += [LONGER.learning_rate_at(s - 1) for s in (15, 20, 25)]
    assert [float(row["learning_rate"]) for row in rows] == rates


def test_with_a_constant_rate_the_extended_run_is_the_long_run_to_the_bit(tmp_path):
    """With a constant rate, nothing depends on the number of steps."""
    short, long = (replace(each, final_learning_rate=1.0) for each in (CONFIG, LONGER))
    tiny.run(train(tiny.cloud_objective(), short, tmp_path / "extended"))
    tiny.run(train(tiny.cloud_objective(), long, tmp_path / "extended", resume=True))
    tiny.run(train(tiny.cloud_objective(), long, tmp_path / "long"))
    ours, theirs = (tiny.state(tmp_path / name)[1] for name in ("extended", "long"))
    assert tiny.same(ours, theirs)
    rows = tiny.log(tmp_path / "extended")
    assert [rows[3]["step"], rows[4:]] == ["15.0", tiny.log(tmp_path / "long")[3:]]


def test_a_stopped_extension_resumes_as_if_it_had_not_stopped(tmp_path):
    for name in ("straight", "stopped"):
        tiny.run(train(tiny.Regression(), CONFIG, tmp_path / name))
    tiny.run(train(tiny.Regression(), LONGER, tmp_path / "straight", resume=True))
    tiny.run(train(tiny.Regression(), LONGER, tmp_path / "stopped", resume=True), until=18)
    assert tiny.state(tmp_path / "stopped")[0] == 15
    tiny.run(train(tiny.Regression(), LONGER, tmp_path / "stopped", resume=True))
    assert tiny.same(tiny.state(tmp_path / "stopped")[1], tiny.state(tmp_path / "straight")[1])
    assert tiny.log(tmp_path / "stopped") == tiny.log(tmp_path / "straight")


def test_the_files_state_every_extension(tmp_path):
    constant = replace(CONFIG, final_learning_rate=1.0)
    for steps in (12, 20, 30):
        config = replace(constant, steps=steps)
        tiny.run(train(tiny.Regression(), config, tmp_path, resume=True))
    header = checkpoint.load(tmp_path / LAST, "training-state")[0]
    assert header["progress"]["extended_from"] == [12, 20]
    assert header["description"]["training"]["steps"] == 30
    record = checkpoint.load(tmp_path / BEST, "regression")[0]["training"]
    assert record["extended_from"] == [12, 20][: (record["step"] > 12) + (record["step"] > 20)]


@pytest.mark.parametrize(
    ("until", "steps", "sentence"),
    [
        (5, 25, "cannot be extended to 25 steps before it is finished: it has 5 of 12 steps"),
        (None, 11, "training.steps must be 12 as in the saved run, got 11"),
    ],
)
def test_other_changes_of_the_length_are_refused(until, steps, sentence, tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path), until=until)
    with pytest.raises(InputError, match=sentence):
        tiny.run(train(tiny.Regression(), replace(CONFIG, steps=steps), tmp_path, resume=True))
