"""The interface between a model with its data and the training loop."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Objective(Protocol):
    """The input of the training loop: a model, numbered training items and two losses.

    Attributes:
        kind: Kind under which the model's weights are saved, e.g. "point-cloud-generator".
        size: Number of training items.
        description: Description that is stored with the weights; all values must be valid in JSON.
            The entry `model` is the configuration of the model, `data` identifies the data and
            their use, and `origin` contains other information. A resumed run must have equal
            entries `model` and `data`.
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
            generator: Generator of all random numbers; equal seeds give equal losses.

        Returns:
            Scalars by name; the weights with the lowest `loss` are saved as the best weights.
        """
