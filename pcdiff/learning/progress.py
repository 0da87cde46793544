"""A training run with a progress bar, and its result."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pcdiff import console
from pcdiff.drawing.curves import draw_curves
from pcdiff.drawing.png import save_png
from pcdiff.errors import InputError
from pcdiff.learning import distributed
from pcdiff.learning.callbacks import TrainingCallback, tensorboard_log
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.objective import Objective
from pcdiff.learning.trainer import BEST, LOG, train

EVENTS = "tensorboard"
"""Folder in the folder of a run with the event files for TensorBoard."""


@dataclass(frozen=True)
class FinishedRun:
    """The result of a training run.

    Attributes:
        weights: File of the weights with the lowest validation loss.
        last: Last row that `train_with_progress` added to the log, or None if no steps remained.
        no_curves: Reason why the training curves were not drawn, or None if the curves were drawn.
    """

    weights: Path
    last: dict[str, float] | None
    no_curves: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a dictionary that can be written as JSON."""
        return {"weights": str(self.weights), "last": self.last}

    def summary(self) -> str:
        """Return the result as one human-readable line."""
        done = "there was no step left to do"
        if self.last is not None:
            done = "last " + ", ".join(f"{name} {value:.4g}" for name, value in self.last.items())
        return f"{self.weights}: the weights with the lowest validation loss; {done}"


def train_with_progress(
    objective: Objective,
    config: TrainingConfig,
    output: Path,
    device: torch.device | str = "cpu",
    resume: bool = False,
    *,
    callback: TrainingCallback | None = None,
    tensorboard: bool = False,
) -> FinishedRun:
    """Train to the last step with a progress bar, then draw the training curves.

    The function writes the files of `pcdiff.learning.trainer.train` and `curves.png`. Under
    `torchrun`, call this function within `pcdiff.learning.distributed.processes`; every process
    returns the result.

    Args:
        objective: The model, the data and the loss.
        config: The settings of the run.
        output: Folder of the run; created if missing.
        device: Device to train on.
        resume: True to continue or extend the run in `output`, or to start a run if the folder has
            no run.
        callback: Function that is called after each step, by the first process only.
        tensorboard: True to write event files for TensorBoard into the folder `tensorboard` of
            `output`.

    Raises:
        InputError: For the reasons listed in `pcdiff.learning.trainer.train`, or if TensorBoard is
            not installed.
    """
    callbacks = [] if callback is None else [callback]
    row: dict[str, float] | None = None
    first = distributed.is_first()
    with contextlib.ExitStack() as stack:
        if tensorboard and first:
            callbacks.append(stack.enter_context(tensorboard_log(output / EVENTS)))
        advance = stack.enter_context(console.progress("training", config.steps, first))
        done = 0
        for progress in train(objective, config, output, device, resume):
            if progress.row is not None:
                row = progress.row
            advance(progress.step - done, f"validation {row['validation_loss']:.4f}" if row else "")
            done = progress.step
            if first:
                for each in callbacks:
                    each(progress)
    no_curves = _draw_log(output) if distributed.is_first() else None
    return FinishedRun(output / BEST, row, no_curves)


def _draw_log(folder: Path) -> str | None:
    """Draw the training curves; return the reason if drawing fails.

    A failure does not raise an error, because a finished run must not be lost. The usual reason is
    that matplotlib, an optional dependency, is not installed.
    """
    try:
        with (folder / LOG).open(newline="") as file:
            save_png(folder / "curves.png", draw_curves(csv.DictReader(file)))
    except InputError as error:
        return str(error)
    return None
