"""The network of SE(3)-DiffusionFields (Urain et al., ICRA 2023), with which ours is compared.

Points fixed to the gripper are mapped by the pose into the object's frame. There a field that is
conditioned on a code of the object's shape, and on the noise level, gives each its signed distance
to the object and a few further features; a decoder makes one energy of the features of all points.
The field is that of DeepSDF (Park et al., CVPR 2019): eight layers, the fifth of which sees the
field's inputs again.

As in the paper's variant for point clouds, the code comes from an encoder, so that the network
serves objects it has not seen; in the paper's first variant it is a table of the training objects.
The released code takes 30 points, 8 layers of 512, 7 outputs and a decoder with one hidden layer of
512. Ours differs in this:

- the encoder is a PointNet (Qi et al., CVPR 2017) of points and normals, not one of vector neurons;
- points are some of our probes, not draws from a box around the gripper;
- the decoder is given the gripper's dimensions, so that one network serves several grippers;
- activations are SiLU, for ReLU is not smooth; the field's layers start as He et al.
  (ICCV 2015) say, in place of normalised weights; there is no dropout;
- the energy is divided by σ, as Song & Ermon (NeurIPS 2020, technique 3) do with scores: the
  network need not learn that they are steep where noise is small;
- lengths are not divided by the size of an object but by a constant.

The field sees coordinates about the object's centre along the axes of its file. So energies do not
depend on where the object stands, but they change when object and grasp are turned together.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.probes import DIMENSIONS, Probes
from grasp.field.networks.surface import Surface
from pcdiff.embeddings import sinusoidal_embedding

POINTS = (
    *(0, 2, 4, 6, 8, 16, 18, 20, 22, 24),  # corners and centres of the pads
    *(13, 14, 15, 29, 30, 31),  # roots, tips and backs of the fingers
    *(32, 33, 34, 35, 36),  # between the fingers
    *(45, 46, 47, 48),  # beside them
    *(49, 50, 57, 58),  # corners of the palm
    60,  # the base
)
"""Which probes are the points. The cost grows with their number, so they are 30, as in the paper:
those that tell most of where the surface is, on both sides of the gripper alike."""

_LEVEL_FEATURES = 16  # sines and cosines of log σ
_PERIODS = (1.5, 12.0)  # the shortest and the longest of these; log σ covers about 4


@dataclass(frozen=True)
class PaperConfig:
    """Sizes of a `PaperNetwork`.

    By default it has 554 thousand weights: 75 in the encoder, 367 in the field, 112 in the decoder.
    The default `EnergyNetwork` has 354 thousand.

    Attributes:
        width: of the field's hidden layers.
        layers: hidden ones of the field; that in the middle sees the inputs again.
        outputs: of the field at a point; the first is the signed distance.
        code: size of the code of an object's shape.
        encoder: width of the encoder's first layer; each of the other two is twice as wide.
        decoder: width of the decoder's hidden layer.
        unit: what the network calls 1, metres.
        least_noise: σ at which the field's first output is a signed distance.
    """

    width: int = 208
    layers: int = 8
    outputs: int = 7
    code: int = 128
    encoder: int = 64
    decoder: int = 512
    unit: float = 0.1
    least_noise: float = 0.02


class PaperNetwork(nn.Module):
    """E(H, σ | surface, gripper), up to a constant of each surface and σ, as `EnergyNetwork`.

    Args:
        config: sizes.
        length: ℓ of SE(3), metres per radian; nothing depends on it here.
    """

    def __init__(self, config: PaperConfig, length: float) -> None:
        super().__init__()
        self.config, self.length = config, length
        self.encoder = _Encoder(config)
        self.field = _Field(config)
        self.decoder = nn.Sequential(
            nn.Linear(len(POINTS) * config.outputs + DIMENSIONS, config.decoder),
            nn.SiLU(),
            nn.Linear(config.decoder, 1),
        )

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
        curved: bool = True,
    ) -> Float[Tensor, "objects grasps"]:
        """The energy of each grasp.

        Args:
            poses: of the gripper, about the centre of each surface, metres.
            noise_level: σ.
            probes: of the gripper of each object, or of one for all.
            surface: of each object.
            curved: makes no difference: this network is always exact when differentiated twice.
        """
        at = probes.places[:, None, list(POINTS)] @ poses[..., :3, :3].mT + poses[..., None, :3, 3]
        seen = self.field(at / self.config.unit, noise_level, self.encoder(surface)).flatten(2)
        dimensions = probes.dimensions[:, None].expand(*seen.shape[:2], -1)
        number: Tensor = self.decoder(torch.cat([seen, dimensions], -1))[..., 0]
        return number / noise_level

    def signed_distance(
        self, points: Float[Tensor, "objects queries 3"], surface: Surface
    ) -> Float[Tensor, "objects queries"]:
        """The field's signed distance at the least noise, metres, below 0 inside.

        Args:
            points: about the centre of each surface, metres.
            surface: of each object.
        """
        level = points.new_full((len(points), 1), self.config.least_noise)
        field = self.field(points[:, None] / self.config.unit, level, self.encoder(surface))
        distance: Tensor = field[:, 0, :, 0] * self.config.unit
        return distance


def distance_loss(
    predicted: Float[Tensor, "objects queries"],
    given: Float[Tensor, "objects queries"],
    clamp: float = 0.1,
) -> Float[Tensor, ""]:
    """mean |clamp(predicted, δ) − clamp(given, δ)|, equation 4 of DeepSDF (Park et al. 2019).

    The paper trains this loss together with the denoising one.

    Args:
        predicted: signed distances, metres.
        given: the true ones; see `grasp.objects.signed_distances`.
        clamp: δ, metres: beyond it all is just far away.
    """
    return (predicted.clamp(-clamp, clamp) - given.clamp(-clamp, clamp)).abs().mean()


class _Encoder(nn.Module):
    """PointNet: one perceptron for every point and normal, a maximum over points, a layer."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.unit = config.unit
        widths = [6, *(config.encoder * 2**layer for layer in range(3))]
        layers = [nn.Linear(*ends) for ends in pairwise(widths)]
        self.points = nn.Sequential(*(each for layer in layers for each in (layer, nn.SiLU())))
        self.last = nn.Linear(widths[-1], config.code)

    def forward(self, surface: Surface) -> Float[Tensor, "objects code"]:
        """The code of each surface; points that stand for no area do not count."""
        area = surface.values[..., :1]
        normals = surface.values[..., 1:4] / area.where(area > 0, 1.0)
        seen = self.points(torch.cat([surface.points / self.unit, normals], -1))
        code: Tensor = self.last(seen.where(area > 0, -torch.inf).amax(1))
        return code


class _Field(nn.Module):
    """Place, noise level and code to signed distance and features."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.level = nn.Sequential(nn.Linear(_LEVEL_FEATURES, _LEVEL_FEATURES), nn.SiLU())
        self.again = config.layers // 2
        width, shared = config.width, config.code + _LEVEL_FEATURES
        inputs = [width + (3 + shared) * (layer == self.again) for layer in range(config.layers)]
        inputs[0] = 3 + shared
        hidden = [nn.Linear(each, width) for each in inputs]
        for layer in hidden:
            # Through torch's own initial weights almost nothing of the inputs reaches the end.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.hidden = nn.ModuleList(hidden)
        self.last = nn.Linear(width, config.outputs)

    def forward(
        self,
        places: Float[Tensor, "objects grasps points 3"],
        noise_level: Float[Tensor, "objects grasps"],
        code: Float[Tensor, "objects code"],
    ) -> Float[Tensor, "objects grasps points outputs"]:
        """Outputs of each place."""
        level = sinusoidal_embedding(noise_level.log().flatten(), _LEVEL_FEATURES, *_PERIODS)
        level = self.level(level).unflatten(0, noise_level.shape)
        shared = torch.cat([code[:, None].expand(*level.shape[:2], -1), level], -1)[..., None, :]
        hidden = places
        for number, layer in enumerate(self.hidden):
            if number == 0:
                out = _linear(layer, places, shared)
            elif number == self.again:
                out = _linear(layer, torch.cat([hidden, places], -1), shared)
            else:
                out = layer(hidden)
            hidden = nn.functional.silu(out)
        outputs: Tensor = self.last(hidden)
        return outputs


def _linear(layer: nn.Module, own: Tensor, shared: Tensor) -> Tensor:
    """A linear layer of both; what all points of a grasp share is multiplied once."""
    assert isinstance(layer, nn.Linear)
    of_own, of_shared = layer.weight.split([own.shape[-1], shared.shape[-1]], dim=1)
    return nn.functional.linear(own, of_own, layer.bias) + nn.functional.linear(shared, of_shared)
