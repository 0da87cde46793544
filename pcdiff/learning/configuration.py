"""The settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pcdiff.errors import InputError

LARGEST_BATCH = 2**20
"""Largest accepted batch size, because a larger number is probably a typing error."""


MOST_STEPS = 10**9
"""Largest accepted number of optimizer steps, which would take years."""


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training run.

    Attributes:
        steps: Number of optimizer steps.
        batch_size: Number of items per step, summed over all processes.
        learning_rate: Peak learning rate of Adam.
        warmup_steps: Number of steps over which the learning rate rises linearly to its peak.
        final_learning_rate: Learning rate at the end of the cosine decay, relative to the peak.
        gradient_clip: Largest norm of the gradient; a larger gradient is scaled down to this norm.
        ema_decay: Decay per step of the exponential moving average of the weights.
        micro_batch: Number of items that pass through the networks together; 0 for the whole batch.
            The gradient of a step is the sum over its micro-batches, so the size of micro-batches
            affects only speed and memory. On a CPU, micro-batches are faster if their activations
            fit into the cache.
        bfloat16: True to run the networks in bfloat16; the weights stay float32.
        compile: True to compile the networks with `torch.compile`, which needs a C++ compiler on
            the CPU.
        validate_every: Number of steps between two validations. Each validation also saves a
            checkpoint.
        seed: Seed of all random numbers.

    Raises:
        InputError: If a number is out of range.
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

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every"):
            self._require(getattr(self, name) >= 1, name, "at least 1")
        for name in ("steps", "validate_every", "warmup_steps"):
            self._require(getattr(self, name) <= MOST_STEPS, name, f"at most {MOST_STEPS} steps")
        self._require(self.micro_batch >= 0, "micro_batch", "at least 0")
        self._require(
            self.batch_size <= LARGEST_BATCH, "batch_size", f"at most {LARGEST_BATCH} items"
        )
        for name in ("learning_rate", "gradient_clip"):
            self._require(
                0 < getattr(self, name) < math.inf, name, "a finite number greater than 0"
            )
        self._require(0 <= self.ema_decay <= 1, "ema_decay", "a number from 0 to 1")

    def _require(self, holds: bool, name: str, expected: str) -> None:
        if not holds:
            raise InputError(
                f"{name} must be {expected}, got {getattr(self, name)}", parameter=name
            )

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step: a linear warm-up, then a cosine to the final rate.

        A run that was extended uses the rates of its new number of steps from the first further
        step on; see `pcdiff.learning.trainer`.

        Args:
            step: Number of steps before this step.
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        low = self.final_learning_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))
