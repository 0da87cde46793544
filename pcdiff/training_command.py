"""What the commands that train share: the loop with its progress bar, the curves, the record."""

from __future__ import annotations

from pathlib import Path

import typer

from pcdiff import console, distributed
from pcdiff.console import Session
from pcdiff.errors import InputError
from pcdiff.training import BEST, LOG, Objective, TrainingConfig, train


def follow(
    session: Session, objective: Objective, config: TrainingConfig, output: Path, resume: bool
) -> None:
    """Train to the end, and say where the weights are.

    Under `torchrun`, within `pcdiff.distributed.processes`.

    Args:
        session: of the command.
        objective: what to train.
        config: how.
        output: folder of the run.
        resume: whether to continue the run there.

    Raises:
        InputError: as `pcdiff.training.train`.
    """
    row: dict[str, float] | None = None
    with console.progress("training", config.steps, distributed.is_first()) as advance:
        done = 0
        for progress in train(objective, config, output, session.device, resume):
            if progress.row is not None:
                row = progress.row
            advance(progress.step - done, f"validation {row['validation_loss']:.4f}" if row else "")
            done = progress.step
    if not distributed.is_first():
        return
    _draw_log(output)
    summary = "there was no step left to do"
    if row is not None:
        summary = "last " + ", ".join(f"{name} {value:.4g}" for name, value in row.items())
    session.finish(
        {"weights": str(output / BEST), "last": row},
        f"{output / BEST}: the weights with the lowest validation loss; {summary}",
    )


def _draw_log(folder: Path) -> None:
    """The curves, if matplotlib is installed: it is an extra, and a run is worth more than it."""
    import csv

    from pcdiff.pictures import draw_curves, save_png

    try:
        with (folder / LOG).open(newline="") as file:
            save_png(folder / "curves.png", draw_curves(csv.DictReader(file)))
    except InputError as error:
        typer.echo(f"no curves: {error}", err=True)
