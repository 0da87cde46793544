"""The network of SE(3)-DiffusionFields (Urain et al., ICRA 2023), with which ours is compared.

The pose maps points that are fixed to the gripper into the object's frame. There a network, the
"field", maps each point to its signed distance to the object and a few further features. It is
conditioned on the noise level and on a code of the object's shape. A decoder turns the features of
all points into one energy. The field is the network of DeepSDF (Park et al., CVPR 2019): eight
layers, of which the fifth sees the field's inputs again.

As in the paper's variant for point clouds, an encoder computes the code, so the network works for
objects it has not seen; in the paper's first variant the code comes from a table of the training
objects. The released code takes 30 points, 8 layers of width 512, 7 outputs and a decoder with one
hidden layer of width 512. This network differs from it as follows:

- The encoder is a PointNet (Qi et al., CVPR 2017) of points and normals, not one of vector neurons.
- The points are some of the probes, not draws from a box around the gripper.
- The decoder also sees the gripper's dimensions, so that one network works for several grippers.
- Activations are SiLU, because ReLU is not smooth. The field's layers are initialised as by He et
  al. (ICCV 2015) instead of having normalised weights. There is no dropout.
- The energy is divided by σ, as Song & Ermon (NeurIPS 2020, technique 3) do with scores, so the
  network need not learn that scores are steep where noise is small.
- Lengths are divided by a constant, not by the size of the object.

The field sees coordinates about the object's centre along the axes of the object's file. So
energies do not depend on where the object stands, but they change when object and grasp are turned
together.
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
"""Indices of the probes that serve as points. The cost grows with their number, so there are 30, as
in the paper: the most informative ones, the same on both sides of the gripper."""

_LEVEL_FEATURES = 16  # number of sines and cosines of log σ
_PERIODS = (1.5, 12.0)  # their shortest and longest period; log σ spans about 4


@dataclass(frozen=True)
class PaperConfig:
    """Sizes of a `PaperNetwork`.

    The default has 554 thousand weights: 75 in the encoder, 367 in the field and 112 in the
    decoder. The default `EnergyNetwork` has 354 thousand.

    Attributes:
        width: Width of the field's hidden layers.
        layers: Number of the field's hidden layers; the middle one sees the inputs again.
        outputs: Number of outputs of the field at a point; the first is the signed distance.
        code: Size of the code of an object's shape.
        encoder: Width of the encoder's first layer; each of the next two is twice as wide as the
            one before.
        decoder: Width of the decoder's hidden layer.
        unit: Length in metres by which all lengths are divided.
        least_noise: Noise level σ at which the field's first output is trained to be a signed
            distance.
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
    """The energy E(H, σ | surface, gripper), with the same interface as `EnergyNetwork`.

    Args:
        config: Sizes.
        length: ℓ of SE(3) in metres per radian; this network does not depend on it.
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
        """Compute the energy of each grasp.

        Args:
            poses: Poses of the gripper relative to the centre of each object's surface, in metres.
            noise_level: Noise level σ of each pose.
            probes: Probes of each object's gripper, or of one gripper for all objects.
            surface: Surface of each object.
            curved: Has no effect: second derivatives of this network are always exact.
        """
        at = probes.places[:, None, list(POINTS)] @ poses[..., :3, :3].mT + poses[..., None, :3, 3]
        seen = self.field(at / self.config.unit, noise_level, self.encoder(surface)).flatten(2)
        dimensions = probes.dimensions[:, None].expand(*seen.shape[:2], -1)
        number: Tensor = self.decoder(torch.cat([seen, dimensions], -1))[..., 0]
        return number / noise_level

    def signed_distance(
        self, points: Float[Tensor, "objects queries 3"], surface: Surface
    ) -> Float[Tensor, "objects queries"]:
        """Compute the field's signed distance in metres at `least_noise`; it is negative inside.

        Args:
            points: Points about the centre of each object's surface, in metres.
            surface: Surface of each object.
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
    """Compute mean |clamp(predicted, δ) − clamp(given, δ)|, equation 4 of DeepSDF.

    Urain et al. add this loss of Park et al. (2019) to the denoising loss.

    Args:
        predicted: Predicted signed distances in metres.
        given: True signed distances in metres; see `grasp.objects.signed_distances`.
        clamp: Limit δ in metres; larger distances count as δ.
    """
    return (predicted.clamp(-clamp, clamp) - given.clamp(-clamp, clamp)).abs().mean()


class _Encoder(nn.Module):
    """A PointNet: a perceptron on each point and normal, a maximum over points, a linear layer."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.unit = config.unit
        widths = [6, *(config.encoder * 2**layer for layer in range(3))]
        layers = [nn.Linear(*ends) for ends in pairwise(widths)]
        self.points = nn.Sequential(*(each for layer in layers for each in (layer, nn.SiLU())))
        self.last = nn.Linear(widths[-1], config.code)

    def forward(self, surface: Surface) -> Float[Tensor, "objects code"]:
        """Compute the code of each surface; points without area, which are padding, are ignored."""
        area = surface.values[..., :1]
        normals = surface.values[..., 1:4] / area.where(area > 0, 1.0)
        seen = self.points(torch.cat([surface.points / self.unit, normals], -1))
        code: Tensor = self.last(seen.where(area > 0, -torch.inf).amax(1))
        return code


class _Field(nn.Module):
    """The field: maps place, noise level and code to a signed distance and further features."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.level = nn.Sequential(nn.Linear(_LEVEL_FEATURES, _LEVEL_FEATURES), nn.SiLU())
        self.again = config.layers // 2
        width, shared = config.width, config.code + _LEVEL_FEATURES
        inputs = [width + (3 + shared) * (layer == self.again) for layer in range(config.layers)]
        inputs[0] = 3 + shared
        hidden = [nn.Linear(each, width) for each in inputs]
        for layer in hidden:
            # With torch's default initial weights the inputs hardly affect the outputs.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.hidden = nn.ModuleList(hidden)
        self.last = nn.Linear(width, config.outputs)

    def forward(
        self,
        places: Float[Tensor, "objects grasps points 3"],
        noise_level: Float[Tensor, "objects grasps"],
        code: Float[Tensor, "objects code"],
    ) -> Float[Tensor, "objects grasps points outputs"]:
        """Compute the outputs at each place.

        Args:
            places: Places about the centre of each object's surface, divided by `PaperConfig.unit`.
            noise_level: Noise level σ of each grasp.
            code: Code of each object's shape.
        """
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
    """Apply a linear layer to inputs `own` of each point and inputs `shared` by a grasp's points.

    To save time, the shared inputs are multiplied only once per grasp.
    """
    assert isinstance(layer, nn.Linear)
    of_own, of_shared = layer.weight.split([own.shape[-1], shared.shape[-1]], dim=1)
    return nn.functional.linear(own, of_own, layer.bias) + nn.functional.linear(shared, of_shared)
