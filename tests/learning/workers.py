"""Functions that the processes of these tests run; each starts as a fork without threads."""

from __future__ import annotations

import os
import resource
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import safetensors.torch  # noqa: F401 - see below
import torch
from torch import distributed, nn

from pcdiff import console
from pcdiff.cli import app
from pcdiff.errors import InputError
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.objective import Objective
from pcdiff.learning.trainer import LAST, train
from pcdiff.locks import only_process
from tests import tiny

# The first optimizer of a process imports half of torch; here this happens once, not per fork.
torch.optim.Adam(nn.Linear(1, 1).parameters())


def clouds_config(steps: int) -> TrainingConfig:
    return TrainingConfig(
        steps=steps, batch_size=3, learning_rate=0.01, warmup_steps=4, validate_every=1, seed=1
    )


def train_clouds(folder: Path, steps: int, report: Connection) -> None:
    """Start or resume a run, and report every checkpoint after it is written."""
    torch.set_num_threads(1)
    report.send(0)
    for progress in train(tiny.cloud_objective(), clouds_config(steps), folder, resume=True):
        report.send(progress.step)


def train_until_file_event(folder: Path, config: TrainingConfig, event: int) -> None:
    """Resume a run, and die just before the given operation on a file in the folder.

    The interpreter's audit events report the operations: open, rename, remove, create a folder.
    """
    torch.set_num_threads(1)
    steps = train(tiny.Regression(), config, folder, resume=True)
    next(steps)  # the checkpoint has been read; the next step writes one
    seen = 0

    def count(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if name.startswith(("open", "os.")) and any(str(folder) in str(a) for a in arguments):
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1

    sys.addaudithook(count)
    next(steps)
    os._exit(0)


def command(arguments: list[str], errors: Path, fills_up: bool) -> None:
    """Run a command of `pcdiff`, optionally on a disk that is full after the first checkpoint.

    From then on no file can grow beyond 1000 bytes, which are enough for the error message.
    """
    torch.set_num_threads(1)
    with errors.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())

    def fill(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "os.rename" and Path(arguments[1]).name == LAST:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    if fills_up:
        sys.addaudithook(fill)
    console.run(app, arguments)


def hold(folder: Path, report: Connection) -> None:
    """Hold a folder until this process is killed."""
    with only_process(folder):
        report.send("held")
        report.recv()


def train_regression(folder: Path, config: TrainingConfig, report: Connection) -> None:
    """Train in a folder that other processes want, too, and report how it ended."""
    torch.set_num_threads(1)
    try:
        for _ in train(tiny.Regression(), config, folder):
            pass
    except InputError as error:
        report.send(str(error))
    else:
        report.send("trained")


def interrupted_command(arguments: list[str], errors: Path) -> None:
    """Run a command of `pcdiff` that hears Ctrl-C just after its first checkpoint."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with errors.open("wb") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = ["/somewhere/bin/pcdiff", *arguments]
    written = False

    def interrupt(name: str, values: tuple[Any, ...]) -> None:
        nonlocal written
        if name == "os.rename" and Path(values[1]).name == LAST:
            written = True
        elif written and name == "open":  # the folder is flushed, so the checkpoint is in place
            written = False
            os.kill(os.getpid(), signal.SIGINT)

    sys.addaudithook(interrupt)
    console.run(app)


def train_together(
    rank: int, world: int, store: Path, kind: str, config: TrainingConfig, folder: Path
) -> None:
    """Be one of the processes that train one model; "regression-until-4" stops after 4 steps."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=world)
    name, _, until = kind.partition("-until-")
    task: Objective = tiny.Regression() if name == "regression" else tiny.cloud_objective(name)
    try:
        tiny.run(train(task, config, folder), int(until) if until else None)
    except InputError as error:
        (store.parent / f"refusal-{rank}").write_text(str(error))
    # A process that leaves while another is still connecting makes that one fail.
    distributed.barrier()
    distributed.destroy_process_group()
