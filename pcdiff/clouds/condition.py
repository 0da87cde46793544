"""What a cloud is generated from: the record that a network of the cloud head is conditioned on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class CloudCondition(NamedTuple):
    """The condition of each cloud of a batch; a network reads the entries that it knows.

    Attributes:
        latent: One vector per shape.
        tokens: A set of vectors per shape.
        category: Number of the category of each shape.
        partial: Points that are known of each shape, in the network's units.
    """

    latent: Float[Tensor, "batch latent"] | None = None
    tokens: Float[Tensor, "batch tokens width"] | None = None
    category: Int[Tensor, " batch"] | None = None
    partial: Float[Tensor, "batch known 3"] | None = None

    def select(self, index: slice | Tensor) -> CloudCondition:
        """The condition of some clouds of the batch."""
        return self._map(lambda entry: entry[index])

    def repeat_interleave(self, times: int) -> CloudCondition:
        """The condition of a batch in which each cloud stands `times` times in a row."""
        return self._map(lambda entry: entry.repeat_interleave(times, dim=0))

    def to(self, *where: Any) -> CloudCondition:
        """The condition on another device; floating-point entries may change their type."""
        return self._map(
            lambda entry: (
                entry.to(*where)
                if entry.is_floating_point()
                else entry.to(*(each for each in where if not isinstance(each, Tensor)))
            )
        )

    def _map(self, function: Callable[[Tensor], Tensor]) -> CloudCondition:
        return CloudCondition(*(None if each is None else function(each) for each in self))
