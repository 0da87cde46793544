"""Encoders, which map a cloud to the probability distribution of its shape latent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


class PointNetEncoder(nn.Module):
    """PointNet (Qi et al. 2017): a network per point, a maximum over the points, two outputs.

    The encoder is invariant to the order of the points and accepts any number of points. It has no
    batch normalisation, so the latent of a cloud does not depend on other clouds in the batch.

    Args:
        latent: Size of the shape latent.
        widths: Widths of the layers that are applied to each point.
        head: Width of the hidden layer in the network of each output.
    """

    provides = "latent"

    def __init__(
        self, latent: int, widths: Sequence[int] = (128, 128, 256, 512), head: int = 128
    ) -> None:
        super().__init__()
        self.latent_shape = (latent,)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([3, *widths]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        self.points = nn.Sequential(*layers[:-1])
        self.norm = nn.LayerNorm(widths[-1])
        self.mean = _head(widths[-1], head, latent)
        self.log_variance = _head(widths[-1], head, latent)

    def forward(
        self, clouds: Float[Tensor, "batch points 3"]
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """The mean and the log variance of q(z | cloud) for the latent z, both in float32."""
        features = self.norm(self.points(clouds).amax(dim=1).float())
        return self.mean(features).float(), self.log_variance(features).float()


def _head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
