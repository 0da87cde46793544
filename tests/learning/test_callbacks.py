"""Callbacks follow a run, and TensorBoard's event files hold the log."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from pcdiff.errors import InputError
from pcdiff.learning.progress import EVENTS, train_with_progress
from tests import tiny
from tests.learning.test_progress import CONFIG


def scalars(folder):
    """The steps and the values of each scalar in the event files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(each.step, each.value) for each in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def logged(folder):
    rows = tiny.log(folder)
    return {
        name: [(int(float(row["step"])), pytest.approx(float(row[name]), rel=1e-6)) for row in rows]
        for name in rows[0]
        if name != "step"
    }


def test_a_callback_sees_every_step_and_every_row(tmp_path):
    seen = []
    train_with_progress(tiny.Regression(), CONFIG, tmp_path, callback=seen.append)
    assert [each.step for each in seen] == [1, 2, 3, 4]
    assert [each.row is not None for each in seen] == [False, True, False, True]
    rows = [float(row["validation_loss"]) for row in tiny.log(tmp_path)]
    assert [each.row["validation_loss"] for each in seen if each.row] == rows


def test_an_error_of_a_callback_ends_the_run_and_keeps_the_checkpoint(tmp_path):
    def stop(progress):
        if progress.step == 3:
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        train_with_progress(tiny.Regression(), CONFIG, tmp_path, callback=stop)
    assert tiny.state(tmp_path)[0] == 2


def test_event_files_hold_the_log(tmp_path):
    train_with_progress(tiny.Regression(), CONFIG, tmp_path, tensorboard=True)
    expected = logged(tmp_path)
    found = scalars(tmp_path / EVENTS)
    assert found.pop("seconds")
    assert found == {name: rows for name, rows in expected.items() if name != "seconds"}


def test_events_continue_with_a_resumed_run(tmp_path):
    train_with_progress(tiny.Regression(), CONFIG, tmp_path, tensorboard=True)
    longer = replace(CONFIG, steps=8)
    train_with_progress(tiny.Regression(), longer, tmp_path, resume=True, tensorboard=True)
    assert scalars(tmp_path / EVENTS)["validation_loss"] == logged(tmp_path)["validation_loss"]


def test_a_missing_tensorboard_is_said_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"install it with pip install 'pcdiff-grasp\[tensorboa"):
        train_with_progress(tiny.Regression(), CONFIG, tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()
