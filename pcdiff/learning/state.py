"""The state of a training run, from which a later process can continue the run."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.learning.configuration import TrainingConfig
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
        try:
            self._restore(path, header, tensors)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is not a complete training state ({error!r})") from error

    def _restore(self, path: Path, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        ours, theirs = json.loads(json.dumps(self.description)), header["description"]
        for name in SPEED_ONLY:
            theirs["training"][name] = ours["training"][name]
        progress = header["progress"]
        extended_from = list(progress.get("extended_from", []))
        planned, wanted = theirs["training"]["steps"], ours["training"]["steps"]
        if wanted > planned:
            if progress["step"] < planned:
                raise InputError(
                    f"{path} cannot be extended to {wanted} steps before it is finished: it has "
                    f"{progress['step']} of {planned} steps",
                    parameter="steps",
                )
            extended_from.append(planned)
            theirs["training"]["steps"] = wanted
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
        self.step, self.best = progress["step"], float(progress["best"])
        self.extended_from = extended_from
        self.seconds = progress["seconds"]


def _refuse_other(path: Path, ours: Any, theirs: Any, where: str) -> None:
    """Raise an `InputError` that names the first difference between two descriptions."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            _refuse_other(path, ours.get(key), theirs.get(key), f"{where}.{key}")
    elif not _equal(ours, theirs):
        raise InputError(
            f"{path} cannot be resumed: {where} must be {theirs!r} as in the saved run, "
            f"got {ours!r}"
        )


def _equal(ours: Any, theirs: Any) -> bool:
    """Test equality, except for the last bits of floats, which can depend on the thread count."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_equal, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-6, abs_tol=1e-8)
    return bool(ours == theirs)
