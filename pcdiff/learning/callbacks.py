"""Functions that follow a training run: a protocol for your own, and event files for TensorBoard.

With a list `rows`, `callback=lambda progress: rows.append(progress.row)` collects the log of
`train_with_progress` or `train_on_file`, with None for a step without validation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pcdiff.errors import InputError
from pcdiff.learning.trainer import Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


TrainingCallback = Callable[[Progress], None]
"""A function that is called with the progress of a run after each of its steps.

`Progress.row` is the new row of the log, or None if the step had no validation. The function must
not change the model. An exception ends the run; the last checkpoint remains."""


@contextlib.contextmanager
def tensorboard_log(folder: Path) -> Iterator[TrainingCallback]:
    """Write each row of the log as scalars for TensorBoard, named as the columns of the log.

    Events of a former run that a resumed run repeats are hidden by TensorBoard.

    Args:
        folder: Folder for the event files; created if missing.

    Yields:
        The callback that writes the events.

    Raises:
        InputError: If TensorBoard is not installed, or the events cannot be written.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "event files need the package tensorboard, which is not installed: install it with "
            "pip install 'pcdiff-grasp[tensorboard]'"
        ) from error
    writer: SummaryWriter | None = None

    def write(progress: Progress) -> None:
        nonlocal writer
        try:
            if writer is None:  # the first step of this process tells where the run continues
                writer = SummaryWriter(str(folder), purge_step=progress.step)
            for name, value in (progress.row or {}).items():
                if name != "step":
                    writer.add_scalar(name, value, progress.step)
            if progress.row is not None:
                writer.flush()
        except OSError as error:
            raise InputError(f"cannot write into {folder}: {error.strerror or error}") from error

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
