"""The network of SE(3)-DiffusionFields (Urain et al., ICRA 2023), for comparison with our network.

The gripper has a fixed set of points, and the pose transforms these points into the object's frame.
A network called the "field" maps each point to the signed distance to the object and to a few
further features. The field is conditioned on the noise level σ and on a code of the object's shape.
A decoder maps the features of all points to one energy. The field is the network of DeepSDF (Park
et al., CVPR 2019): it has eight layers, and the fifth layer takes the field's inputs again.

The paper has two variants. In the first variant, the codes are a table of the training objects. In
the variant for point clouds, an encoder computes the code, so the network works for unknown
objects. This module implements the variant with an encoder. The authors' released program uses 30
points, 8 layers of width 512, 7 outputs and a decoder with one hidden layer of width 512. The
network in this module differs from the released program as follows:

- The encoder is a PointNet (Qi et al., CVPR 2017) of points and surface normals, and does not use
  vector neurons.
- The points are a subset of the probes. In the released program they are drawn from a box around
  the gripper.
- The decoder also takes the gripper's dimensions, so that one network works for several grippers.
- Activations are SiLU, because ReLU is not smooth. The layers of the field are initialised with the
  method of He et al. (ICCV 2015), without weight normalisation. There is no dropout.
- The energy is divided by σ, as Song & Ermon (NeurIPS 2020, technique 3) divide scores. So the
  network need not learn that scores are steep at low noise levels.
- Lengths are divided by a constant, not by the size of the object.

The field takes coordinates relative to the object's centre along the axes of the object's file. So
a translation of the object with the grasp does not change the energy, but a rotation does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.energy import DEEPEST, WIDEST
from grasp.field.networks.probes import DIMENSIONS, Probes
from grasp.field.networks.surface import Surface
from pcdiff.bounds import check_real, check_whole
from pcdiff.embeddings import sinusoidal_embedding

POINTS = (
    *(0, 2, 4, 6, 8, 16, 18, 20, 22, 24),  # corners and centres of the pads
    *(13, 14, 15, 29, 30, 31),  # roots, tips and backs of the fingers
    *(32, 33, 34, 35, 36),  # between the fingers
    *(45, 46, 47, 48),  # beside the fingers
    *(49, 50, 57, 58),  # corners of the palm
    60,  # the base
)
"""Indices of the probes that serve as points of the network. The time grows with the number of
points. As in the paper, there are 30 points. They are the most informative probes, and the choice
is symmetric: the same probes are selected on both fingers."""

_LEVEL_FEATURES = 16  # number of sines and cosines of log σ
_PERIODS = (1.5, 12.0)  # shortest and longest period in log σ, which has a range of length 4


@dataclass(frozen=True)
class PaperConfig:
    """Sizes of a `PaperNetwork`.

    With the default sizes, the network has 554 thousand weights: 75 thousand in the encoder, 367
    thousand in the field and 112 thousand in the decoder. The default `EnergyNetwork` has 354
    thousand weights.

    Attributes:
        width: Width of the field's hidden layers.
        layers: Number of the field's hidden layers. The middle layer takes the inputs again.
        outputs: Number of outputs of the field at a point. The first output is the signed distance.
        code: Size of the code of an object's shape.
        encoder: Width of the encoder's first layer. The second layer is twice as wide, and the
            third layer is four times as wide.
        decoder: Width of the decoder's hidden layer.
        unit: Length in metres by which all lengths are divided.
        least_noise: Noise level σ at which the field's first output is trained to equal the signed
            distance.

    Raises:
        InputError: If a number is out of range.
    """

    width: int = 208
    layers: int = 8
    outputs: int = 7
    code: int = 128
    encoder: int = 64
    decoder: int = 512
    unit: float = 0.1
    least_noise: float = 0.02

    def __post_init__(self) -> None:
        for name in ("width", "outputs", "code", "encoder", "decoder"):
            check_whole(name, getattr(self, name), 1, WIDEST)
        check_whole("layers", self.layers, 1, DEEPEST)
        for name in ("unit", "least_noise"):
            check_real(name, getattr(self, name), 1e-9, 1e9)


class PaperNetwork(nn.Module):
    """The paper's network for the energy E(H, σ | surface, gripper) of poses H at noise level σ.

    `forward` takes the same arguments as `EnergyNetwork.forward`.

    Args:
        config: Sizes of the network.
        length: Length ℓ of the noise on SE(3) in metres per radian. It has no effect on the output.
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
            probes: Probes of one gripper per object, or of one gripper for all objects.
            surface: Surface of each object.
            curved: No effect: second derivatives of this network are always exact.
        """
        at = probes.places[:, None, list(POINTS)] @ poses[..., :3, :3].mT + poses[..., None, :3, 3]
        seen = self.field(at / self.config.unit, noise_level, self.encoder(surface)).flatten(2)
        dimensions = probes.dimensions[:, None].expand(*seen.shape[:2], -1)
        number: Tensor = self.decoder(torch.cat([seen, dimensions], -1))[..., 0]
        return number / noise_level

    def signed_distance(
        self, points: Float[Tensor, "objects queries 3"], surface: Surface
    ) -> Float[Tensor, "objects queries"]:
        """Compute the field's signed distance from points to the object, in metres.

        The noise level is `PaperConfig.least_noise`. The distance is negative inside the object.

        Args:
            points: Points relative to the centre of each object's surface, in metres.
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
    """Compute the mean absolute error of clamped signed distances.

    The loss is the mean of |clamp(predicted, δ) − clamp(given, δ)|, equation 4 of DeepSDF (Park et
    al., CVPR 2019). Urain et al. (ICRA 2023) add this loss to the denoising loss.

    Args:
        predicted: Predicted signed distances in metres.
        given: True signed distances in metres; see `grasp.objects.signed_distances`.
        clamp: Limit δ in metres. Distances are clamped to the range from −δ to δ.
    """
    return (predicted.clamp(-clamp, clamp) - given.clamp(-clamp, clamp)).abs().mean()


class _Encoder(nn.Module):
    """The encoder, a PointNet that maps a surface to a code of the object's shape.

    A perceptron is applied to each point and its surface normal. A maximum over the points and a
    linear layer follow.
    """

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.unit = config.unit
        widths = [6, *(config.encoder * 2**layer for layer in range(3))]
        layers = [nn.Linear(*ends) for ends in pairwise(widths)]
        self.points = nn.Sequential(*(each for layer in layers for each in (layer, nn.SiLU())))
        self.last = nn.Linear(widths[-1], config.code)

    def forward(self, surface: Surface) -> Float[Tensor, "objects code"]:
        """Compute the code of each surface; points of area 0 are padding and have no effect."""
        area = surface.values[..., :1]
        normals = surface.values[..., 1:4] / area.where(area > 0, 1.0)
        seen = self.points(torch.cat([surface.points / self.unit, normals], -1))
        code: Tensor = self.last(seen.where(area > 0, -torch.inf).amax(1))
        return code


class _Field(nn.Module):
    """The field, which maps place, noise level and code to a signed distance and features."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.level = nn.Sequential(nn.Linear(_LEVEL_FEATURES, _LEVEL_FEATURES), nn.SiLU())
        self.again = config.layers // 2
        width, shared = config.width, config.code + _LEVEL_FEATURES
        inputs = [width + (3 + shared) * (layer == self.again) for layer in range(config.layers)]
        inputs[0] = 3 + shared
        hidden = [nn.Linear(each, width) for each in inputs]
        for layer in hidden:
            # With torch's default initialisation the inputs would hardly affect the outputs.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        self.hidden = nn.ModuleList(hidden)
        self.last = nn.Linear(width, config.outputs)

    def forward(
        self,
        places: Float[Tensor, "objects grasps points 3"],
        noise_level: Float[Tensor, "objects grasps"],
        code: Float[Tensor, "objects code"],
    ) -> Float[Tensor, "objects grasps points outputs"]:
        """Compute the outputs of the field at each place.

        Args:
            places: Places relative to the centre of each object's surface, divided by
                `PaperConfig.unit`.
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
    """Apply a linear layer to the inputs `own` of each point and the inputs `shared` of each grasp.

    All points of a grasp have the same inputs `shared`. To save time, these inputs are multiplied
    only once per grasp.
    """
    assert isinstance(layer, nn.Linear)
    of_own, of_shared = layer.weight.split([own.shape[-1], shared.shape[-1]], dim=1)
    return nn.functional.linear(own, of_own, layer.bias) + nn.functional.linear(shared, of_shared)
