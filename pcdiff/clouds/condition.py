"""The condition of a network of the cloud head: what a cloud is generated from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class CloudCondition(NamedTuple):
    """What each cloud of a batch is generated from. A network reads only the entries that it knows.

    Attributes:
        latent: One vector per shape.
        tokens: A set of vectors per shape.
        category: Number of the category of each shape.
        partial: Known points of each shape, in the network's units.
    """

    latent: Float[Tensor, "batch latent"] | None = None
    tokens: Float[Tensor, "batch tokens width"] | None = None
    category: Int[Tensor, " batch"] | None = None
    partial: Float[Tensor, "batch known 3"] | None = None

    def select(self, index: slice | Tensor) -> CloudCondition:
        """Return the condition of some clouds of the batch."""
        return self._map(lambda entry: entry[index])

    def repeat_interleave(self, times: int) -> CloudCondition:
        """Return the condition of a batch in which each cloud stands `times` times in a row."""
        return self._map(lambda entry: entry.repeat_interleave(times, dim=0))

    def _map(self, function: Callable[[Tensor], Tensor]) -> CloudCondition:
        return CloudCondition(*(None if each is None else function(each) for each in self))
