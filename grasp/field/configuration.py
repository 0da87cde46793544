"""The configuration of a grasp field, which is saved in the file of the field's weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from grasp.field.networks.energy import NetworkConfig
from grasp.field.networks.paper import PaperConfig
from grasp.field.networks.surface import LAYOUT
from grasp.field.weight import NEWEST
from pcdiff.bounds import check_real
from pcdiff.errors import InputError

DEFAULT, PAPER = ARCHITECTURES = ("default", "paper")


@dataclass(frozen=True)
class FieldConfig:
    """The settings from which a `GraspField` is built.

    Attributes:
        architecture: Architecture of the energy network: "default", or "paper" for the network of
            SE(3)-DiffusionFields.
        energy: Sizes of the energy network if the architecture is "default".
        paper: Sizes of the energy network if the architecture is "paper".
        success: Sizes of the success network.
        length: Length ℓ in metres per radian: noise of level σ turns poses by σ radians and moves
            them by σℓ metres.
        sigma_min: Smallest noise level σ, which limits the precision of training and sampling.
        sigma_max: Largest noise level σ. At 1.2 the wrapped Gaussian noise of the rotations is
            nearly uniform; far above 1.2 it is not (see `pcdiff.manifolds.so3`).
        grippers: SHA-256 digest of the description of each gripper that the field was trained on,
            by gripper name.
        layout: Version of the networks' inputs; see `grasp.field.networks.surface.LAYOUT`.
        protocol: Version of the physics protocol whose labels trained the success network, or
            "unknown". Weights of version 0.1.0 do not state it; their labels were made with
            protocol 2.

    Raises:
        InputError: If the architecture is unknown, the layout is not `LAYOUT`, or another value has
            the wrong type or is out of range.
    """

    architecture: str = DEFAULT
    energy: NetworkConfig = field(
        # The energy and its gradient are evaluated several times per sample, but the success
        # network only once. So the energy network uses fewer probes.
        default_factory=lambda: NetworkConfig(
            width=320, summary=16, few_probes=True, symmetric=True
        )
    )
    paper: PaperConfig = field(default_factory=PaperConfig)
    success: NetworkConfig = field(
        default_factory=lambda: NetworkConfig(width=256, summary=32, symmetric=True)
    )
    length: float = 0.1
    sigma_min: float = 0.02
    sigma_max: float = 1.2
    grippers: dict[str, str] = field(default_factory=dict)
    layout: int = LAYOUT
    protocol: str = NEWEST

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"the architecture must be {' or '.join(ARCHITECTURES)}, got {self.architecture!r}"
            )
        if self.layout != LAYOUT:
            raise InputError(
                f"the layout of the networks' inputs must be {LAYOUT}, got {self.layout}"
            )
        if not isinstance(self.protocol, str):
            raise InputError(f"protocol must be text, got {self.protocol!r}")
        for name in ("length", "sigma_min", "sigma_max"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{name} must be a number, got {value!r}")
        if not (0 < self.length < math.inf and 0 < self.sigma_min < self.sigma_max < math.inf):
            raise InputError(
                "the length and the noise levels must be above 0 and finite, and sigma_max must be "
                f"above sigma_min, got length {self.length}, sigma_min {self.sigma_min} and "
                f"sigma_max {self.sigma_max}"
            )
        for name in ("length", "sigma_max"):
            check_real(name, getattr(self, name), 0, 1000)
        grippers: object = self.grippers
        if not isinstance(grippers, dict) or not all(
            isinstance(text, str) for pair in grippers.items() for text in pair
        ):
            raise InputError(
                f"grippers must be a dictionary from names to digests, both text, got {grippers!r}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as a dictionary, from which `from_dict` restores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> FieldConfig:
        """Restore a configuration from a dictionary that `as_dict` returned."""
        given = {"protocol": "2", **description}
        for name, kind in (
            ("energy", NetworkConfig), ("success", NetworkConfig), ("paper", PaperConfig),
        ):  # fmt: skip
            if name in given:
                given[name] = kind(**given[name])
        return cls(**given)
