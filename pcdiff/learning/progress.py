"""What the commands that train share: options, the loop with its progress bar, the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pcdiff import console
from pcdiff.console import Session
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from pcdiff.learning.trainer import Objective, TrainingConfig

RunFolder = Annotated[Path, typer.Option(help="Folder of the run.")]
OptimizerSteps = Annotated[int, typer.Option(min=1, help="Optimizer steps.")]
LearningRate = Annotated[float, typer.Option(help="Adam's, at its height.")]
EmaDecay = Annotated[float, typer.Option(min=0, max=1, help="Of the averaged weights.")]
ValidateEvery = Annotated[int, typer.Option(min=1, help="Steps; also a checkpoint.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue the run in --output, if there is one.")
]
InitializeFrom = Annotated[
    str | None, typer.Option(help="Begin from these weights: a name or a file.")
]


def follow(
    session: Session, objective: Objective, config: TrainingConfig, output: Path, resume: bool
) -> None:
    """Train to the end, and say where the weights are.

    Under `torchrun`, within `pcdiff.learning.distributed.processes`.

    Args:
        session: of the command.
        objective: what to train.
        config: how.
        output: folder of the run.
        resume: whether to continue the run there.

    Raises:
        InputError: as `pcdiff.learning.trainer.train`.
    """
    from pcdiff.learning import distributed
    from pcdiff.learning.trainer import BEST, train

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

    from pcdiff.drawing.curves import draw_curves
    from pcdiff.drawing.png import save_png
    from pcdiff.learning.trainer import LOG

    try:
        with (folder / LOG).open(newline="") as file:
            save_png(folder / "curves.png", draw_curves(csv.DictReader(file)))
    except InputError as error:
        typer.echo(f"no curves: {error}", err=True)
