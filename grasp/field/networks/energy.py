"""The default networks of the grasp field.

The networks compute features of the object's surface at the gripper's probes. Kernel sums at each
probe give the amount of surface nearby, the signed distance to the surface, and the surface normal
in the gripper's frame. Some probes use fine kernels and other probes use coarse kernels (see
`NetworkConfig.looks`). The kernels widen with the noise level, because noise blurs fine details.
Further features describe the whole object in the gripper's frame: a sum over its landmarks, its
centre and its covariance.

A small perceptron maps these features, the gripper's dimensions and the noise level to a number. So
the number is a smooth function of the pose, and it does not change when the object and the gripper
move together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from grasp.field.networks.half_turn import HalfTurn, turned
from grasp.field.networks.kernel_sums import look
from grasp.field.networks.probes import ALL, DIMENSIONS, FEW_COARSE, FEW_FINE, FINE, Probes
from grasp.field.networks.surface import DESCRIBED, Surface
from pcdiff.bounds import check_whole, shown
from pcdiff.errors import InputError

_WIDENING = 0.35  # kernel width that is added in quadrature, divided by the spread σℓ of the noise
_COARSE = 4.0  # kernel width for coarse points, divided by the kernel width for fine points
_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)  # frequencies of the sines and cosines of log σ
_EMBEDDED = 64  # size of the embedding of σ
_PER_PROBE = 5  # number of features per probe: amount, distance and surface normal
_FINEST = 0.007  # typical kernel width without noise, in metres
_OF_OBJECT = 9  # number of features of the whole object: centre and covariance
_REACH = 0.1  # typical distance from a hand to a surface in metres, by which lengths are divided
_UNITS = (_REACH, _REACH, _REACH, 1.0, 1.0, 1.0)  # units of a landmark's place and surface normal
_LEAST_DEVIATION = 0.01  # added to the standard deviation of each feature before the division


WIDEST, DEEPEST = 2**14, 2**8
"""Largest accepted width and number of layers of a network."""


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of a `PoseNetwork`.

    Attributes:
        width: Width of the hidden layers.
        layers: Number of hidden layers.
        summary: Number of features per landmark, which are summed over the landmarks.
        few_probes: If true, only the probes in `FEW_FINE` and `FEW_COARSE` of
            `grasp.field.networks.probes` are used.
        symmetric: If true, the output is the same for a pose and for the pose turned by π around
            its approach axis. Weights of version 0.1.0 are not symmetric.

    Raises:
        InputError: If a size is not a whole number from 1 to `WIDEST` or `DEEPEST`.
    """

    width: int = 384
    layers: int = 3
    summary: int = 64
    few_probes: bool = False
    symmetric: bool = False

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1, WIDEST)
        check_whole("layers", self.layers, 1, DEEPEST)
        check_whole("summary", self.summary, 1, WIDEST)
        for name in ("few_probes", "symmetric"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise InputError(f"{name} must be true or false, got {shown(value)}")

    @property
    def looks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of the probes for the fine points and of the probes for the coarse points."""
        if self.few_probes:
            return FEW_FINE, FEW_COARSE
        return tuple(range(FINE)), tuple(range(ALL))


def features(
    poses: Float[Tensor, "objects grasps 4 4"],
    spread: Float[Tensor, "objects grasps"],
    probes: Probes,
    surface: Surface,
    curved: bool = True,
    config: NetworkConfig | None = None,
) -> Float[Tensor, "objects grasps features"]:
    """Compute the features of each grasp at its probes, and the object's centre and covariance.

    Args:
        poses: Poses of the gripper relative to the centre of each object's surface, in metres.
        spread: Distance σℓ in metres by which the noise moves the grasps.
        probes: Probes of one gripper per object, or of one gripper for all objects.
        surface: Surface of each object.
        curved: If true, second derivatives by the poses are exact; see `kernel_sums`.
        config: Sizes of the network, which include the choice of probes; None selects all probes.
    """
    objects, grasps = poses.shape[:2]
    rotation, translation = poses[..., :3, :3], poses[..., :3, 3]
    fine, coarse = (config or NetworkConfig()).looks
    seen = []
    for chosen, factor, points, values in (
        (fine, 1.0, surface.points, surface.values),
        (coarse, _COARSE, surface.coarse_points, surface.coarse_values),
    ):
        # A single matrix product serves all grasps of an object: many small products take several
        # times longer.
        places = rotation.flatten(1, 2) @ probes.places[:, chosen].mT
        places = places.unflatten(1, (grasps, 3)).mT + translation[..., None, :]
        own = probes.widths[:, None, chosen]
        width = torch.sqrt(own**2 + (_WIDENING * spread[..., None]) ** 2)
        amount, normal, distance = look(
            places.flatten(1, 2),
            factor * width.flatten(1)[..., None],
            points,
            values,
            curved,
        )
        seen += [
            amount.view(objects, grasps, len(chosen)),
            distance.view(objects, grasps, len(chosen)),
            (normal.view(objects, grasps, len(chosen), 3) @ rotation).flatten(2),
        ]
    upper = torch.triu_indices(3, 3, device=poses.device)
    centre = -(rotation.mT @ translation[..., None])[..., 0]
    covariance = rotation.mT @ surface.covariance[:, None] @ rotation
    return torch.cat(
        [*seen, centre / _REACH, covariance[..., upper[0], upper[1]] / _REACH**2], dim=-1
    )


class Summary(nn.Module):
    """Features of the whole object in the gripper's frame: Σᵢ aᵢ φ(A pᵢ + B nᵢ + C dᵢ + D(σ)).

    The sum is over the landmarks i of the surface (Zaheer et al. 2017, "Deep Sets"). aᵢ is the
    landmark's share of the surface area, and dᵢ is its description. The landmark's place pᵢ and its
    surface normal nᵢ are in the gripper's frame. The matrices A, B and C are weights. D(σ) is a
    linear function of the embedding of the noise level σ, and φ is the function SiLU.

    Args:
        size: Number of features.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.place = nn.Linear(6, size)
        self.described = nn.Linear(DESCRIBED, size, bias=False)
        self.noise = nn.Linear(_EMBEDDED, size, bias=False)

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise: Float[Tensor, "objects grasps embedded"],
        surface: Surface,
    ) -> Float[Tensor, "objects grasps size"]:
        """Compute the features of each pose.

        Args:
            poses: Poses of the gripper relative to the centre of each object's surface, in metres.
            noise: Embedding of each pose's noise level.
            surface: Surface of each object.
        """
        grasps = poses.shape[1]
        rotation, translation = poses[..., :3, :3], poses[..., :3, 3]
        area, normal, described = surface.landmark_values.split([1, 3, DESCRIBED], dim=-1)
        # The layer's weights are rotated instead of the landmarks, so that a single matrix
        # product serves all grasps.
        of_place, of_normal = (
            each @ rotation.mT
            for each in (self.place.weight / self.place.weight.new_tensor(_UNITS)).split(3, dim=1)
        )
        offset = self.place.bias + self.noise(noise) - (of_place @ translation[..., None])[..., 0]
        weights = torch.cat([of_place, of_normal, offset[..., None]], dim=-1).flatten(1, 2)
        ones = torch.ones_like(area)
        landmarks = torch.cat([surface.landmarks, normal, ones], dim=-1).mT
        hidden = (weights @ landmarks).unflatten(1, (grasps, self.place.out_features))
        hidden = hidden + self.described(described).mT[:, None]
        total: Tensor = (nn.functional.silu(hidden) @ area[:, None])[..., 0]
        return total


class Perceptron(nn.Module):
    """A perceptron that maps features, the gripper's dimensions and the noise level to a number.

    Args:
        config: Sizes of the network.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        fine, coarse = config.looks
        seen = _PER_PROBE * (len(fine) + len(coarse)) + _OF_OBJECT
        self.register_buffer("mean", torch.zeros(seen))
        self.register_buffer("deviation", torch.ones(seen))
        self.noise = nn.Sequential(nn.Linear(2 * len(_FREQUENCIES), _EMBEDDED), nn.SiLU())
        self.modulation = nn.Linear(_EMBEDDED, 2 * config.width)
        self.summary = Summary(config.summary)
        self.half_turn: HalfTurn | None = None
        if config.symmetric:
            self.half_turn = HalfTurn(config.looks)
            odd = len(self.half_turn.odd)
            self.odd = nn.Linear(odd + config.summary, config.width, bias=False)
            seen -= odd
        self.first = nn.Linear(seen + config.summary + DIMENSIONS, config.width)
        self.hidden = nn.ModuleList(
            nn.Linear(config.width, config.width) for _ in range(config.layers - 1)
        )
        self.last = nn.Linear(config.width, 1)

    def standardize(self, seen: Float[Tensor, "*batch features"]) -> None:
        """Set the mean and the standard deviation of the features from examples.

        Args:
            seen: Features of the examples, returned by `features`.
        """
        if self.half_turn is not None:
            seen = torch.stack([seen, self.half_turn(seen)])
        flat = seen.flatten(0, -2)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(flat.std(0) + _LEAST_DEVIATION)

    def forward(
        self,
        seen: Float[Tensor, "objects grasps features"],
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
    ) -> Float[Tensor, "objects grasps"]:
        """Compute the perceptron's output for each grasp.

        Args:
            seen: Features of each grasp, returned by `features`.
            poses: Poses of the gripper relative to the centre of each object's surface, in metres.
            noise_level: Noise level σ of each grasp.
            probes: Probes of one gripper per object, or of one gripper for all objects.
            surface: Surface of each object.
        """
        phase = torch.log(noise_level)[..., None] * noise_level.new_tensor(_FREQUENCIES)
        noise = self.noise(torch.cat([phase.sin(), phase.cos()], dim=-1))
        scaled = (seen - self.mean) / self.deviation
        dimensions = probes.dimensions[:, None].expand(*seen.shape[:2], -1)
        scale, shift = self.modulation(noise).chunk(2, dim=-1)

        def activated(first: Tensor) -> Tensor:
            return nn.functional.silu(first * (1 + scale) + shift)

        if self.half_turn is None:
            given = torch.cat([scaled, self.summary(poses, noise, surface), dimensions], dim=-1)
            hidden = activated(self.first(given))
        else:
            around = torch.cat([poses, turned(poses)], dim=1)
            both = self.summary(around, torch.cat([noise, noise], dim=1), surface)
            here, there = both.chunk(2, dim=1)
            even, odd = self.half_turn.parts(scaled)
            even = self.first(torch.cat([even, (here + there) / 2, dimensions], dim=-1))
            odd = self.odd(torch.cat([odd, (here - there) / 2], dim=-1))
            hidden = (activated(even + odd) + activated(even - odd)) / 2
        for layer in self.hidden:
            hidden = hidden + nn.functional.silu(layer(hidden))
        number: Tensor = self.last(hidden)[..., 0]
        return number


class PoseNetwork(nn.Module):
    """A network that maps a pose, a surface, a gripper and a noise level to a number.

    Args:
        config: Sizes of the network.
        length: Length ℓ of the noise on SE(3) in metres per radian.
    """

    def __init__(self, config: NetworkConfig, length: float) -> None:
        super().__init__()
        self.config, self.length = config, length
        self.perceptron = Perceptron(config)

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
        curved: bool = True,
    ) -> Float[Tensor, "objects grasps"]:
        """Compute the network's output for each pose.

        Args:
            poses: Poses of the gripper relative to the centre of each object's surface, in metres.
            noise_level: Noise level σ of each pose.
            probes: Probes of one gripper per object, or of one gripper for all objects.
            surface: Surface of each object.
            curved: If true, second derivatives by the poses are exact; see `kernel_sums`.
        """
        spread = noise_level * self.length
        seen = features(poses, spread, probes, surface, curved, self.config)
        number: Tensor = self.perceptron(seen, poses, noise_level, probes, surface)
        return number

    def standardize(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
    ) -> None:
        """Set the scales of the inputs from examples before training.

        Args:
            poses: Poses of the gripper relative to the centre of each object's surface, in metres.
            noise_level: Noise level σ of each pose.
            probes: Probes of one gripper per object, or of one gripper for all objects.
            surface: Surface of each object.
        """
        spread = noise_level * self.length
        seen = features(poses, spread, probes, surface, config=self.config)
        self.perceptron.standardize(seen)


class EnergyNetwork(PoseNetwork):
    """The network for the energy E(H, σ | surface, gripper) of poses H at noise level σ.

    The energy is known except for a constant that does not depend on H.
    """

    def forward(
        self,
        poses: Float[Tensor, "objects grasps 4 4"],
        noise_level: Float[Tensor, "objects grasps"],
        probes: Probes,
        surface: Surface,
        curved: bool = True,
    ) -> Float[Tensor, "objects grasps"]:
        """Compute the energy of each pose; see `PoseNetwork.forward` for the arguments."""
        number = super().forward(poses, noise_level, probes, surface, curved)
        # The energy should change by approximately 1 over a distance equal to the spread of the
        # noise. If the kernels are wider than the spread, the features change less. The factor in
        # the next lines compensates for the smaller change.
        blur = _WIDENING * noise_level * self.length
        return number * torch.sqrt(_FINEST**2 + blur**2) / blur


class SuccessNetwork(PoseNetwork):
    """The network for the logit of the probability of success of a grasp.

    The network is trained at the smallest noise level. Its output is for an object of negligible
    weight. A load ρ (see `grasp.field.weight`) divides the odds of success by (1 + ρ²)^(c/2), where
    c is the weight `load_exponent`.

    Args:
        config: Sizes of the network.
        length: Length ℓ of the noise on SE(3) in metres per radian.
    """

    def __init__(self, config: NetworkConfig, length: float) -> None:
        super().__init__(config, length)
        self.load_exponent = nn.Parameter(torch.zeros(()))

    def under_load(
        self, logits: Float[Tensor, "*batch"], squared_load: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch"]:
        """Convert logits l to logits under a load ρ, l − c/2·log(1 + ρ²).

        c is the weight `load_exponent`.

        Args:
            logits: Logits l from this network.
            squared_load: Squared load ρ² of each grasp; 0 if the weight is unknown.
        """
        return logits - self.load_exponent / 2 * squared_load.log1p()

    @torch.no_grad()
    def rescale(self, scale: float, shift: float) -> None:
        """Change the weights so that every logit l becomes `scale`·l + `shift` (Platt scaling).

        This holds under every load, because the exponent of the load is scaled too.

        Args:
            scale: Factor of the logits. A positive factor preserves the ranking of grasps.
            shift: Number that is added to the scaled logits.

        Raises:
            InputError: If the scale is not positive, or either number is not finite.
        """
        if not (0 < scale < math.inf and math.isfinite(shift)):
            raise InputError(
                "the scale of logits must be positive and finite and their shift finite, got the "
                f"scale {scale} and the shift {shift}"
            )
        last = self.perceptron.last
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)
        self.load_exponent.mul_(scale)
