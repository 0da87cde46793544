"""The interface between a head and the training loop."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Objective(Protocol):
    """What a head must give to the training loop: a model, indexed data and two losses.

    Attributes:
        kind: Kind under which the model's weights are saved, e.g. "point-cloud-generator".
        size: Number of training items.
        description: What to store with the weights, in values that can be written as JSON, under
            three keys: `model`, the configuration of the model; `data`, what identifies the data
            and how they are used; `origin`, anything else worth storing. A resumed run must have
            the same `model` and `data`.
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
        """Compute the terms of the training loss, each a mean over the items.

        Args:
            model: The model to evaluate.
            items: Indices of training items.
            generators: One random generator per item.

        Returns:
            Scalars by name. The scalar named `loss` is minimised.
        """

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """Compute the terms of the loss on the validation items.

        Args:
            model: The model to evaluate.
            generator: The source of all randomness; the same seed gives the same loss.

        Returns:
            Scalars by name; the weights with the lowest `loss` are kept as the best.
        """
