"""The interfaces that the cloud head requires of a network and of an encoder."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class CloudNetwork(Protocol):
    """A network that predicts the velocity v = α ε − σ x₀ at each point of a noisy cloud.

    Here x₀ is the clean point, ε is the noise, and α x₀ + σ ε is the noisy point.

    Attributes:
        independent_points: Whether the output at a point depends only on this point, the noise
            level and the condition. Only such a network allows several noise levels per cloud.
    """

    independent_points: bool

    def __call__(
        self,
        points: Float[Tensor, "batch points 3"],
        log_snr: Float[Tensor, " batch"],
        condition: Any,
    ) -> Float[Tensor, "batch points 3"]:
        """The predicted velocity at each point.

        Args:
            points: Noisy points, scaled to unit variance.
            log_snr: Log signal-to-noise ratio log(α²/σ²) of each cloud.
            condition: Condition of each cloud, with the fields of
                `pcdiff.clouds.condition.CloudCondition`.
        """


@runtime_checkable
class CloudEncoder(Protocol):
    """A network that maps a cloud to the probability distribution of its shape latent.

    Attributes:
        provides: Entry of the `CloudCondition` that stores the latent: "latent" for one vector per
            shape, "tokens" for a set of vectors per shape.
        latent_shape: Dimensions of the array of one latent.
    """

    provides: str
    latent_shape: tuple[int, ...]

    def __call__(
        self, clouds: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch *latent"], Float[Tensor, "batch *latent"]]:
        """Return the mean and the log variance of q(z | cloud) for the latent z."""
