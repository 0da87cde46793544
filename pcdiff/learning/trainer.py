"""The training loop, one for both heads.

A head brings an `Objective`: a model, data it can index, a loss, a validation loss. Everything
random in a step is a function of (seed, step, place in the batch), so that there is no random state
to save: a resumed run continues bit-exactly on the same machine and thread count, and a batch split
over processes sees the numbers that one process would have seen.
"""

from __future__ import annotations

import copy
import csv
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch import distributed as dist

from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder
from pcdiff.learning import checkpoint
from pcdiff.randomness import seeded

STATE_KIND = "training-state"
LAST, BEST, LOG = "last.safetensors", "best.safetensors", "metrics.csv"

SPEED_ONLY = ("micro_batch", "compile")
"""What another machine may choose otherwise when it resumes a run: the steps stay the same."""

LARGEST_BATCH = 2**20
"""More items a step than this are a slip of the pen."""

_ORDER, _NOISE, _VALIDATION = 0, 1, 2  # which stream of random numbers a seed belongs to


@runtime_checkable
class Objective(Protocol):
    """What a head brings to the loop.

    Attributes:
        kind: the kind under which the model's weights are saved.
        model: the module to train.
        size: number of training items.
        description: as JSON can hold it, `model`, the model's configuration, `data`, what
            identifies the data and its use, and `origin`, whatever else the weights should record;
            a resumption compares the first two.
    """

    kind: str
    size: int
    description: dict[str, Any]

    @property
    def model(self) -> nn.Module:
        """The module to train."""

    def loss(
        self, model: nn.Module, items: list[int], generators: list[torch.Generator]
    ) -> dict[str, Tensor]:
        """The parts of the loss as means over `items`; `loss` is what is minimised."""

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """The same on the validation items; the caller's generator makes it repeatable."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        steps: optimizer steps.
        batch_size: items a step, over all processes.
        learning_rate: Adam's, at its height.
        warmup_steps: steps of linear rise.
        final_learning_rate: fraction of the height that the cosine ends in.
        gradient_clip: largest norm of the gradient.
        ema_decay: decay of the exponential moving average of the weights, in steps.
        micro_batch: items that go through the networks together, 0 for the whole batch. The
            gradient of a step is the sum over its parts, so this changes speed and memory only: on
            a CPU, parts whose activations fit the cache are faster.
        bfloat16: run the networks in bfloat16 (the weights stay float32).
        compile: compile the networks with `torch.compile`; needs a C++ compiler on the CPU.
        validate_every: steps between validations; each also writes a checkpoint.
        seed: of everything random.
    """

    steps: int = 20_000
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    final_learning_rate: float = 0.01
    gradient_clip: float = 1.0
    ema_decay: float = 0.999
    micro_batch: int = 0
    bfloat16: bool = True
    compile: bool = False
    validate_every: int = 500
    seed: int = 0

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine to `final_learning_rate`."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        low = self.final_learning_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    Attributes:
        step: steps done.
        steps: steps in all.
        row: the row just added to the log, or `None`.
    """

    step: int
    steps: int
    row: dict[str, float] | None = None


class _State:
    """Everything that a run needs to go on, and its form on disk."""

    def __init__(self, objective: Objective, config: TrainingConfig, device: torch.device) -> None:
        self.device = device
        self.model = objective.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)
        self.description = {**objective.description, "training": asdict(config)}
        self.step = 0
        self.best = math.inf
        self.seconds = 0.0

    def update_average(self, decay: float) -> None:
        # Early on the average would remember the random start; (1 + n)/(10 + n) lets it forget.
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(
                self.average.parameters(), self.model.parameters(), strict=True
            ):
                ours.lerp_(theirs, 1 - decay)
            for kept, latest in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(latest)

    def save(self, path: Path) -> None:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        progress = {"step": self.step, "best": repr(self.best), "seconds": self.seconds}
        header = {"description": self.description, "progress": progress}
        checkpoint.save(path, STATE_KIND, header, tensors)

    def load(self, path: Path) -> None:
        header, tensors = checkpoint.load(path, STATE_KIND)
        try:
            self._restore(path, header, tensors)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is not a whole training state ({error!r})") from error

    def _restore(self, path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        ours, theirs = json.loads(json.dumps(self.description)), header["description"]
        for name in SPEED_ONLY:
            theirs["training"][name] = ours["training"][name]
        for part in ("model", "data", "training"):
            _refuse_other(path, ours[part], theirs[part], part)
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        checkpoint.load_state(self.model, parts["model"], path)
        checkpoint.load_state(self.average, parts["average"], path)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            index, key = name.split(".", 1)
            moments.setdefault(int(index), {})[key] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        progress = header["progress"]
        self.step, self.best = progress["step"], float(progress["best"])
        self.seconds = progress["seconds"]


def train(
    objective: Objective,
    config: TrainingConfig,
    output: str | os.PathLike[str],
    device: torch.device | str = "cpu",
    resume: bool = False,
) -> Iterator[Progress]:
    """Train; yields after every step, so that the progress bar belongs to the caller.

    Writes into `output`: `last.safetensors` (everything a resumption needs), `best.safetensors`
    (the averaged weights with the lowest validation loss so far, ready for use) and `metrics.csv`.
    Under `torchrun` the batch is split over the processes, gradients are averaged, and the first
    process writes.

    Args:
        objective: what to train.
        config: how.
        output: folder of the run.
        device: where.
        resume: continue from `last.safetensors`, or begin if there is none yet.

    Raises:
        InputError: if `output` holds a run and `resume` is false, if that run has another model,
            data or configuration, if the gradient is not finite, or if a file cannot be written.
    """
    _check(config, objective.size)
    joined = dist.is_initialized()
    rank, world = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
    if config.batch_size % world:
        raise InputError(f"batch size {config.batch_size} does not divide over {world} processes")
    writes = rank == 0
    folder = prepare_folder(output) if writes else Path(output)
    state = _State(objective, config, torch.device(device))
    if not resume and any((folder / name).exists() for name in (LAST, BEST, LOG)):
        raise InputError(f"{folder} already holds a run: resume it or choose another folder")
    if (folder / LAST).exists():
        state.load(folder / LAST)
    rows = _read_log(folder / LOG, state.step) if writes else []
    if config.compile:
        for network in state.model.children():
            network.compile()
    began = time.monotonic() - state.seconds
    running: dict[str, float] = {}
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
            raise _diverged(state.step, "gradient", float(norm), config)
        state.optimizer.step()
        state.step += 1
        state.update_average(config.ema_decay)
        for name, value in {**parts, "gradient_norm": float(norm)}.items():
            running[name] = running.get(name, 0.0) + value

        row = None
        if state.step % config.validate_every == 0 or state.step == config.steps:
            state.seconds = time.monotonic() - began
            row = {"step": float(state.step), "seconds": state.seconds, "learning_rate": rate}
            since = (state.step - 1) % config.validate_every + 1
            means = _mean_over_processes({k: total / since for k, total in running.items()}, device)
            row |= {f"train_{name}": mean for name, mean in means.items()}
            running = {}
            row |= _validate(objective, state, config)
            if not math.isfinite(row["validation_loss"]):  # before it costs a sound checkpoint
                raise _diverged(state.step, "validation loss", row["validation_loss"], config)
            if writes:
                rows.append(row)
                _save(folder, objective, state, rows, row)
        yield Progress(state.step, config.steps, row)


def _diverged(step: int, what: str, value: float, config: TrainingConfig) -> InputError:
    return InputError(
        f"training diverged: the {what} is {value} at step {step}; no checkpoint was touched since "
        f"the last validation, try a lower learning rate than {config.learning_rate}"
    )


def accumulate_gradient(
    loss: Callable[[list[int], list[torch.Generator]], dict[str, Tensor]],
    items: list[int],
    generators: list[torch.Generator],
    micro_batch: int,
    device_type: str,
    bfloat16: bool,
) -> dict[str, float]:
    """Add the gradient of a batch's mean loss to the parameters, micro-batch by micro-batch.

    Args:
        loss: the terms of the loss as means over the items it is given; `loss` is the one that is
            differentiated.
        items: the batch.
        generators: one an item.
        micro_batch: items that are taken together, 0 for all.
        device_type: "cpu" or "cuda".
        bfloat16: run the networks in bfloat16.

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
    """The mean over the processes, each of which has an equal part of the batch."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = nn.utils.parameters_to_vector(gradients)
    dist.all_reduce(flat)
    nn.utils.vector_to_parameters(flat / dist.get_world_size(), gradients)


def _batch(size: int, config: TrainingConfig, step: int) -> list[int]:
    """The items of a step: epochs, each a permutation of its own, laid end to end."""
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
def _validate(objective: Objective, state: _State, config: TrainingConfig) -> dict[str, float]:
    generator = seeded(config.seed, _VALIDATION)
    parts = objective.validation_loss(state.average.eval(), generator)
    return {f"validation_{name}": float(value) for name, value in parts.items()}


def _save(
    folder: Path,
    objective: Objective,
    state: _State,
    rows: list[dict[str, float]],
    row: Mapping[str, float],
) -> None:
    """The best weights if these are, then the log, then the state: a kill between loses nothing."""
    if row["validation_loss"] < state.best:
        state.best = row["validation_loss"]
        described = state.description
        record = {**described["origin"], **described["data"], **described["training"]}
        record |= {"step": state.step, "seconds": state.seconds}
        record |= {name: value for name, value in row.items() if name.startswith("validation")}
        header = {"model": state.description["model"], "training": record}
        checkpoint.save(folder / BEST, objective.kind, header, state.average.state_dict())
    with atomic_write(folder / LOG) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        writer.writeheader()
        writer.writerows(rows)
    state.save(folder / LAST)


def _read_log(path: Path, step: int) -> list[dict[str, float]]:
    """The rows up to `step`; a run that was killed may have logged a later one."""
    if not path.exists():
        return []
    try:
        with path.open(newline="") as file:
            table = csv.DictReader(file)
            if "step" not in (table.fieldnames or ()):
                raise KeyError("step")
            rows = [{name: float(cell) for name, cell in row.items()} for row in table]
        return [row for row in rows if row["step"] <= step]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not the log of a run ({error}): mend it, or move it away to begin a new one"
        ) from error


def _refuse_other(path: Path, ours: Any, theirs: Any, where: str) -> None:
    """One sentence on the first difference between two descriptions."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            _refuse_other(path, ours.get(key), theirs.get(key), f"{where}.{key}")
    elif not _equal(ours, theirs):
        raise InputError(
            f"{path} cannot be resumed: its {where} is {theirs!r}, this run's is {ours!r}"
        )


def _equal(ours: Any, theirs: Any) -> bool:
    """Up to the last bits, in which statistics of the data depend on the thread count."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-8)
    return bool(ours == theirs)


def _check(config: TrainingConfig, size: int) -> None:
    for name in ("steps", "batch_size", "validate_every"):
        if getattr(config, name) < 1:
            raise InputError(f"{name}: expected at least 1, got {getattr(config, name)}")
    if size < 1:
        raise InputError("the training set is empty")
    if config.micro_batch < 0:
        raise InputError(f"micro_batch: expected at least 0, got {config.micro_batch}")
    for name in ("learning_rate", "gradient_clip"):
        if not 0 < getattr(config, name) < math.inf:
            raise InputError(f"{name}: expected above 0, got {getattr(config, name)}")
    if config.batch_size > LARGEST_BATCH:
        raise InputError(f"batch_size: expected at most {LARGEST_BATCH}, got {config.batch_size}")
    if not 0 <= config.ema_decay <= 1:
        raise InputError(f"ema_decay: expected 0 to 1, got {config.ema_decay}")
