"""The condition from which a network of the cloud head generates a cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class CloudCondition(NamedTuple):
    """The conditions from which the clouds of a batch are generated.

    A network reads only the entries that it supports. Unused entries are None.

    Attributes:
        latent: One vector per shape.
        tokens: A set of vectors per shape.
        category: Category number of each shape.
        partial: Known points of each shape, in network units.
    """

    latent: Float[Tensor, "batch latent"] | None = None
    tokens: Float[Tensor, "batch tokens width"] | None = None
    category: Int[Tensor, " batch"] | None = None
    partial: Float[Tensor, "batch known 3"] | None = None

    def select(self, index: slice | Tensor) -> CloudCondition:
        """Return the conditions of the selected clouds of the batch."""
        return self._map(lambda entry: entry[index])

    def repeat_interleave(self, times: int) -> CloudCondition:
        """Repeat the condition of each cloud; `times` is the number of adjacent copies."""
        return self._map(lambda entry: entry.repeat_interleave(times, dim=0))

    def _map(self, function: Callable[[Tensor], Tensor]) -> CloudCondition:
        return CloudCondition(*(None if each is None else function(each) for each in self))
