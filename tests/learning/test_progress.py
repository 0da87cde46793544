"""A training run with a progress bar: what it returns and leaves on disk."""

from __future__ import annotations

from pcdiff.errors import InputError
from pcdiff.learning import progress
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.progress import FinishedRun, train_with_progress
from pcdiff.learning.trainer import BEST, LAST, LOG
from tests import tiny

CONFIG = TrainingConfig(steps=4, batch_size=3, warmup_steps=1, validate_every=2, bfloat16=False)


def test_a_run_returns_its_weights_and_the_last_row_of_its_log(tmp_path):
    finished = train_with_progress(tiny.Regression(), CONFIG, tmp_path)
    logged = {name: float(cell) for name, cell in tiny.log(tmp_path)[-1].items()}
    assert finished.weights == tmp_path / BEST and finished.no_curves is None
    assert finished.last is not None and finished.last["step"] == 4
    assert {name: finished.last[name] for name in logged} == logged
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == sorted([BEST, LAST, LOG, "curves.png"])
    assert "validation_loss" in finished.summary()


def test_a_finished_run_has_no_step_left(tmp_path):
    train_with_progress(tiny.Regression(), CONFIG, tmp_path)
    again = train_with_progress(tiny.Regression(), CONFIG, tmp_path, resume=True)
    assert again == FinishedRun(tmp_path / BEST, None)
    assert again.summary().endswith("there was no step left to do")


def test_a_run_outlives_curves_that_cannot_be_drawn(tmp_path, monkeypatch):
    def missing(rows):
        raise InputError("matplotlib is not installed")

    monkeypatch.setattr(progress, "draw_curves", missing)
    finished = train_with_progress(tiny.Regression(), CONFIG, tmp_path)
    assert finished.no_curves == "matplotlib is not installed"
    assert finished.weights.exists()
