"""What a head must bring to the training loop."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Objective(Protocol):
    """A model, indexed training data, a loss and a validation loss.

    Attributes:
        kind: Kind under which the model's weights are saved, e.g. "point-cloud-generator".
        size: Number of training items.
        description: What to record with the weights, as JSON can hold it, under three keys:
            `model`, the configuration of the model; `data`, what identifies the data and how it is
            used; `origin`, anything else worth recording. A resumed run must have the same `model`
            and `data`.
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
        """The terms of the training loss, each a mean over the items.

        Args:
            model: The model to evaluate.
            items: Indices of training items.
            generators: One random generator per item.

        Returns:
            Scalars by name; the one named `loss` is minimised.
        """

    def validation_loss(self, model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
        """The same terms on the validation items.

        Args:
            model: The model to evaluate.
            generator: The source of all randomness; the same seed gives the same loss.

        Returns:
            Scalars by name; the weights with the lowest `loss` are kept as the best.
        """
