"""The interfaces that the cloud head requires of a network and of an encoder."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class CloudNetwork(Protocol):
    """A network that predicts the velocity v = α ε − σ x₀ at each point of a noisy cloud.

    Attributes:
        independent_points: Whether each point's output depends on that point and the condition
            alone. Only then may a cloud's points be split into groups.
    """

    independent_points: bool

    def __call__(
        self,
        points: Float[Tensor, "batch points 3"],
        log_snr: Float[Tensor, " batch"],
        condition: Any,
    ) -> Float[Tensor, "batch points 3"]:
        """The velocity at each point.

        Args:
            points: Noisy points, standardised.
            log_snr: log(α²/σ²) of each cloud.
            condition: An object with the fields of `pcdiff.clouds.condition.CloudCondition`.
        """


@runtime_checkable
class CloudEncoder(Protocol):
    """A network that maps a cloud to the probability law of its shape latent.

    Attributes:
        provides: Name of the entry of the condition that holds the latent: "latent" for one vector
            per shape, "tokens" for a set of vectors per shape.
        latent_shape: Shape of one latent.
    """

    provides: str
    latent_shape: tuple[int, ...]

    def __call__(
        self, clouds: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch *latent"], Float[Tensor, "batch *latent"]]:
        """Return the mean and the log variance of q(z | cloud)."""
