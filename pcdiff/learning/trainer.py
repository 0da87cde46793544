"""The training loop for point clouds and for grasps.

The loop trains the model of an `Objective`. The random numbers of a step depend only on the seed,
the step and the place in the batch, so no random state must be saved. A resumed run continues
bit-exactly on the same machine with an equal number of threads. A batch that is split over several
processes uses the random numbers that a single process would use.

A finished run can be extended: it is resumed with more steps. The state of the run (weights,
average, moments of Adam) continues, and every further step s uses the learning rate of step s in a
run of the new length. So the rate rises once, from the end of the old cosine to the new cosine. The
first steps keep the rates that they had. Apart from these rates, the extended run is the run of the
new length: with a constant rate (`final_learning_rate` 1), both are equal to the bit.
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch import distributed as dist

from pcdiff.bounds import shown
from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder
from pcdiff.learning import checkpoint, distributed
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.objective import Objective
from pcdiff.learning.state import TrainingState, check_resumable
from pcdiff.locks import only_process
from pcdiff.randomness import seeded
from pcdiff.untrusted import file_size

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "metrics.csv"
"""Files of a run: the state to resume from, the best averaged weights, and the log."""

LARGEST_LOG = 2**28
"""Largest accepted size of a log in bytes, which has 200 per validation."""

_ORDER, _NOISE, _VALIDATION = 0, 1, 2  # second word of a seed: the purpose of the random numbers


@dataclass(frozen=True)
class Progress:
    """The progress of a run after a step.

    Attributes:
        step: Number of finished steps.
        steps: Total number of steps.
        row: Row that this step added to the log, or None if the step had no validation.
    """

    step: int
    steps: int
    row: dict[str, float] | None = None


def train(
    objective: Objective,
    config: TrainingConfig,
    output: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    resume: bool = False,
) -> Iterator[Progress]:
    """Train a model, and yield the progress after every step.

    The function writes three files into `output`: `last.safetensors` (the state to resume from),
    `best.safetensors` (the averaged weights with the lowest validation loss so far, ready for use)
    and `metrics.csv` (the log). Under `torchrun` the batch is split over the processes, gradients
    are averaged, and only the first process writes files.

    Args:
        objective: The model, the data and the loss.
        config: The settings of the run.
        output: Folder of the run; created if missing.
        device: Device to train on.
        resume: True to continue from `last.safetensors`, or to start a run if this file is missing.
            A finished run with fewer steps than `config.steps` is extended.

    Yields:
        The progress after each step.

    Raises:
        InputError: If another process trains in `output`; if `output` contains a run and `resume`
            is False; if the run to resume has another model, other data or other settings; if the
            training set is empty or the batch cannot be split over the processes; if the loss
            diverges; or if a file cannot be read or written.
    """
    if objective.size < 1:
        raise InputError(f"the training set must have at least 1 item, got {objective.size}")
    joined = dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
    if config.batch_size % world:
        raise InputError(
            f"batch_size must be a multiple of the number of processes, {world}, "
            f"got {config.batch_size}",
            parameter="batch_size",
        )
    folder = Path(output)
    if rank > 0:
        yield from _train(objective, config, folder, device, resume)
        return
    with only_process(folder):
        prepare_folder(folder)
        yield from _train(objective, config, folder, device, resume)


def check_run(output: str | os.PathLike[str], config: TrainingConfig, resume: bool = False) -> None:
    """Check before long work that a run can start in a folder, or that its run can be resumed.

    The check leaves all files unchanged. `train` makes the same checks again.

    Args:
        output: Folder of the run, which may be missing.
        config: The settings of the run.
        resume: True to continue the run in the folder.

    Raises:
        InputError: If another process trains in the folder; the folder contains a run and `resume`
            is False; or the run to resume is damaged or has other settings.
    """
    folder = Path(output)
    if not folder.is_dir() or not distributed.starts_first():
        return
    with only_process(folder):
        _refuse_old_run(folder, resume)
        if (folder / LAST).exists():
            check_resumable(folder / LAST, config)


def _refuse_old_run(folder: Path, resume: bool) -> None:
    if not resume and any((folder / name).exists() for name in (LAST, BEST, LOG)):
        raise InputError(
            f"{folder} already contains a run: resume the run or choose another folder",
            parameter="resume",
        )


def _train(
    objective: Objective,
    config: TrainingConfig,
    folder: Path,
    device: torch.device | str,
    resume: bool,
) -> Iterator[Progress]:
    """Train in a folder that only this process, or the first of several processes, writes."""
    joined = dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
    writes = rank == 0
    state = TrainingState(objective, config, torch.device(device))
    _refuse_old_run(folder, resume)
    if (folder / LAST).exists():
        state.load(folder / LAST)
    rows = _read_log(folder / LOG, state.step) if writes else []
    if config.compile:
        for network in state.model.children():
            network.compile()
    began = time.monotonic() - state.seconds
    running: dict[str, float] = {}
    validated = state.step  # every checkpoint follows a validation
    while state.step < config.steps:
        items = _batch(objective.size, config, state.step)
        places = range(rank, config.batch_size, world)
        rate = config.learning_rate_at(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.zero_grad(set_to_none=True)
        parts = accumulate_gradient(
            partial(objective.loss, state.model),
            [items[place] for place in places],
            [seeded(config.seed, _NOISE, state.step, place) for place in places],
            config.micro_batch,
            state.device.type,
            config.bfloat16,
        )
        _average_gradient(state.model)
        norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
        if not torch.isfinite(norm):
            raise _diverged(state.step, "gradient norm", float(norm), config)
        state.optimizer.step()
        state.step += 1
        state.update_average(config.ema_decay)
        for name, value in {**parts, "gradient_norm": float(norm)}.items():
            running[name] = running.get(name, 0.0) + value

        row = None
        if state.step % config.validate_every == 0 or state.step == config.steps:
            state.seconds = time.monotonic() - began
            row = {"step": float(state.step), "seconds": state.seconds, "learning_rate": rate}
            since, validated = state.step - validated, state.step
            means = _mean_over_processes({k: total / since for k, total in running.items()}, device)
            row |= {f"train_{name}": mean for name, mean in means.items()}
            running = {}
            row |= _validate(objective, state, config)
            if not math.isfinite(row["validation_loss"]):  # checked before the weights are saved
                raise _diverged(state.step, "validation loss", row["validation_loss"], config)
            if writes:
                rows.append(row)
                _save(folder, objective, state, rows, row)
        yield Progress(state.step, config.steps, row)


def _diverged(step: int, what: str, value: float, config: TrainingConfig) -> InputError:
    return InputError(
        f"training diverged: the {what} must be finite, got {value} at step {step} (the checkpoint "
        f"of the last validation is unchanged): try a learning rate below {config.learning_rate}",
        parameter="learning_rate",
    )


def accumulate_gradient(
    loss: Callable[[list[int], list[torch.Generator]], dict[str, Tensor]],
    items: list[int],
    generators: list[torch.Generator],
    micro_batch: int,
    device_type: str,
    bfloat16: bool,
) -> dict[str, float]:
    """Add the gradient of a batch's mean loss to the parameters, one micro-batch at a time.

    Args:
        loss: Function that returns the terms of the loss as means over the items; the term named
            `loss` is differentiated.
        items: Indices of the batch's items.
        generators: One random generator per item.
        micro_batch: Number of items that pass through the networks together; 0 for all.
        device_type: Type of the device, "cpu" or "cuda".
        bfloat16: True to run the networks in bfloat16.

    Returns:
        The terms of the loss as means over the batch.
    """
    means: dict[str, float] = {}
    for begin in range(0, len(items), micro_batch or len(items)):
        part = slice(begin, begin + (micro_batch or len(items)))
        share = len(items[part]) / len(items)
        with torch.autocast(device_type, torch.bfloat16, enabled=bfloat16):
            terms = loss(items[part], generators[part])
        (share * terms["loss"]).backward()
        for name, term in terms.items():
            means[name] = means.get(name, 0.0) + share * float(term.detach())
    return means


def _average_gradient(model: nn.Module) -> None:
    """Average the gradients over the processes; every process has the same number of items."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = nn.utils.parameters_to_vector(gradients)
    dist.all_reduce(flat)
    nn.utils.vector_to_parameters(flat / dist.get_world_size(), gradients)


def _batch(size: int, config: TrainingConfig, step: int) -> list[int]:
    """Return the items of a step; every epoch has its own random order of all items."""
    first = step * config.batch_size
    places = range(first, first + config.batch_size)
    orders = {
        epoch: torch.randperm(size, generator=seeded(config.seed, _ORDER, epoch)).tolist()
        for epoch in range(places[0] // size, places[-1] // size + 1)
    }
    return [orders[place // size][place % size] for place in places]


def _mean_over_processes(
    values: Mapping[str, float], device: torch.device | str
) -> dict[str, float]:
    if not dist.is_initialized():
        return dict(values)
    mean = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    dist.all_reduce(mean)
    return dict(zip(values, (mean / dist.get_world_size()).tolist(), strict=True))


@torch.no_grad()
def _validate(
    objective: Objective, state: TrainingState, config: TrainingConfig
) -> dict[str, float]:
    generator = seeded(config.seed, _VALIDATION)
    parts = objective.validation_loss(state.average.eval(), generator)
    return {f"validation_{name}": float(value) for name, value in parts.items()}


def _save(
    folder: Path,
    objective: Objective,
    state: TrainingState,
    rows: list[dict[str, float]],
    row: Mapping[str, float],
) -> None:
    """Write the weights if they are the best, then the log, then the state.

    Because of this order, nothing is lost if the process is killed between two writes.
    """
    if row["validation_loss"] < state.best:
        state.best = row["validation_loss"]
        described = state.description
        record = {**described["origin"], **described["data"], **described["training"]}
        record |= {"step": state.step, "seconds": state.seconds, **state.history()}
        record |= {name: value for name, value in row.items() if name.startswith("validation")}
        header = {"model": state.description["model"], "training": record}
        checkpoint.save(folder / BEST, objective.kind, header, state.average.state_dict())
    with atomic_write(folder / LOG) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerows(rows)
    state.save(folder / LAST)


def _read_log(path: Path, step: int) -> list[dict[str, float]]:
    """Read the log up to `step`; later rows, which a killed run may have written, are ignored."""
    if not path.exists():
        return []
    file_size(path, LARGEST_LOG)
    try:
        with path.open(newline="") as file:
            table = csv.DictReader(file)
            if "step" not in (table.fieldnames or ()):
                raise KeyError("step")
            rows = [{name: float(cell) for name, cell in row.items()} for row in table]
        return [row for row in rows if row["step"] <= step]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path} is not the log of a training run ({shown(error)}): repair the file, or move "
            "it away to start a new log"
        ) from error
