"""The state of a training run, from which a later process can continue the run."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcdiff.bounds import check_real, check_whole, shown
from pcdiff.errors import InputError, cause_of
from pcdiff.learning import checkpoint
from pcdiff.learning.configuration import MOST_STEPS, TrainingConfig
from pcdiff.learning.objective import Objective

STATE_KIND = "training-state"

SPEED_ONLY = ("micro_batch", "compile")
"""Settings that may change when a run is resumed, because they affect only speed and memory."""


class TrainingState:
    """The model, the moving average of its weights, the optimizer and the progress of the run.

    Args:
        objective: The model, the data and the loss.
        config: The settings of the run.
        device: Device on which the model is trained.

    Attributes:
        device: Device on which the model is trained.
        model: Model that is trained.
        average: Model with the exponential moving average of the weights.
        optimizer: Adam over the model's parameters.
        description: Description of the run, which is stored in its checkpoints.
        step: Number of finished steps.
        best: Lowest validation loss so far; infinity before the first validation.
        extended_from: Numbers of steps at which the run was finished before it was extended.
        seconds: Wall time of the run in seconds, without pauses.
    """

    def __init__(self, objective: Objective, config: TrainingConfig, device: torch.device) -> None:
        self.device = device
        self.model = objective.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=config.learning_rate)
        self.description = {**objective.description, "training": asdict(config)}
        self.step = 0
        self.best = math.inf
        self.extended_from: list[int] = []
        self.seconds = 0.0

    def update_average(self, decay: float) -> None:
        """Move the average towards the latest weights.

        Args:
            decay: Weight of the old average, from 0 to 1.
        """
        # The decay is at most (1 + n) / (10 + n) in step n, so that the average soon forgets the
        # random initial weights.
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for ours, theirs in zip(
                self.average.parameters(), self.model.parameters(), strict=True
            ):
                ours.lerp_(theirs, 1 - decay)
            for kept, latest in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(latest)

    def save(self, path: Path) -> None:
        """Write the state to a `.safetensors` file, completely or not at all.

        Raises:
            InputError: If the file cannot be written.
        """
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        progress = {"step": self.step, "best": repr(self.best), "seconds": self.seconds}
        progress |= self.history()
        header = {"description": self.description, "progress": progress}
        checkpoint.save(path, STATE_KIND, header, tensors)

    def history(self) -> dict[str, Any]:
        """Return the entry `extended_from` of a checkpoint; a run without extensions has none."""
        return {"extended_from": self.extended_from} if self.extended_from else {}

    def load(self, path: Path) -> None:
        """Replace this state with a state that `save` wrote.

        A finished run may be loaded into a run with more steps, which extends it.

        Raises:
            InputError: If the file is missing or damaged, or has the state of a run with another
                model, other data or other settings.
        """
        header, tensors = checkpoint.load(path, STATE_KIND)
        with _complete(path):
            self._restore(path, header, tensors)

    def _restore(self, path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        parts_of_run = ("model", "data", "training")
        extended_from = refuse_other(path, self.description, header, parts_of_run)
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
        _check_moments(path, list(self.model.parameters()), moments)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        progress = header["progress"]
        check_whole("the finished steps", progress["step"], 0, MOST_STEPS)
        check_real("the seconds of the run", progress["seconds"], 0, 1e12)
        best = float(progress["best"])
        if math.isnan(best):
            raise InputError(f"{path} must state the lowest validation loss, got NaN")
        self.step, self.best, self.seconds = progress["step"], best, progress["seconds"]
        self.extended_from = extended_from


def check_resumable(path: Path, config: TrainingConfig) -> None:
    """Check before long work that a saved state is complete and was made with the same settings.

    Args:
        path: File of the state.
        config: Settings of the run that is to be resumed.

    Raises:
        InputError: If the file is missing or damaged, or has other settings.
    """
    header, _ = checkpoint.load_header(path, STATE_KIND)
    with _complete(path):
        refuse_other(path, {"training": asdict(config)}, header, ("training",))


@contextlib.contextmanager
def _complete(path: Path) -> Iterator[None]:
    """Turn any error about the content of a state into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # a state may hold any values
        raise InputError(f"{path} is not a complete training state ({cause_of(error)})") from error


def _check_moments(
    path: Path, parameters: Sequence[Tensor], moments: dict[int, dict[str, Tensor]]
) -> None:
    """Raise an `InputError` if the state of Adam does not belong to the parameters."""
    for index, each in moments.items():
        shape = tuple(parameters[index].shape)
        expected = {"step": (), "exp_avg": shape, "exp_avg_sq": shape}
        found = {name: tuple(tensor.shape) for name, tensor in each.items()}
        if found != expected or not all(tensor.is_floating_point() for tensor in each.values()):
            raise InputError(
                f"{path} is not a complete training state: the optimizer's state of parameter "
                f"{index} must have the shapes {expected}, got {shown(found)}"
            )


def refuse_other(
    path: Path, ours: dict[str, Any], header: dict[str, Any], parts: tuple[str, ...]
) -> list[int]:
    """Raise an `InputError` if two runs differ in more than their speed and an extension.

    Args:
        path: File of the other run, for the error message.
        ours: Description of this run.
        header: Header of the state of the other run. If this run has more steps, it extends the
            other, which must then be finished.
        parts: Parts of the descriptions to compare.

    Returns:
        Numbers of steps at which the run was finished before each extension.
    """
    ours, theirs = json.loads(json.dumps(ours)), dict(header["description"])
    speed = {name: ours["training"][name] for name in SPEED_ONLY}
    training = {**theirs["training"], **speed}
    progress = header["progress"]
    extended_from = list(progress.get("extended_from", []))
    planned, wanted = training["steps"], ours["training"]["steps"]
    if wanted > planned:
        if progress["step"] < planned:
            raise InputError(
                f"{path} cannot be extended to {wanted} steps before it is finished: it has "
                f"{progress['step']} of {planned} steps",
                parameter="steps",
            )
        extended_from.append(planned)
        training["steps"] = wanted
    theirs["training"] = training
    for part in parts:
        _refuse_other(path, ours[part], theirs[part], part)
    return extended_from


def _refuse_other(path: Path, ours: Any, theirs: Any, where: str) -> None:
    """Raise an `InputError` that names the first difference between two descriptions."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            _refuse_other(path, ours.get(key), theirs.get(key), f"{where}.{key}")
    elif not _equal(ours, theirs):
        raise InputError(
            f"{path} cannot be resumed: {where} must be {shown(theirs)} as in the saved run, "
            f"got {shown(ours)}"
        )


def _equal(ours: Any, theirs: Any) -> bool:
    """Test equality, except for the last bits of floats, which can depend on the thread count."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-8)
    return bool(ours == theirs)
