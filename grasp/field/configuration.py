"""Everything that builds a grasp field; it travels with the weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from grasp.field.networks.energy import NetworkConfig
from grasp.field.networks.paper import PaperConfig
from grasp.field.networks.surface import LAYOUT
from pcdiff.errors import InputError

if TYPE_CHECKING:
    pass


DEFAULT, PAPER = ARCHITECTURES = ("default", "paper")


@dataclass(frozen=True)
class FieldConfig:
    """Everything that builds a `GraspField`; it travels with the weights.

    Attributes:
        architecture: of the energy network: "default", or "paper" for that of the paper.
        energy: sizes of the energy network, if it is the default one.
        paper: sizes of it if it is that of the paper.
        success: sizes of the network of success.
        length: ℓ, metres per radian: noise of level σ turns by σ radians and moves by σℓ metres.
        sigma_min: the least noise level; grasps are trained, and sampled, to that precision.
        sigma_max: the largest. At 1.2 the wrapped normal, by which rotations are noised, is near
            to uniform; far above, it is not (see `pcdiff.manifolds.so3`).
        grippers: the digests of the descriptions of those that it was trained on, by name.
        layout: the version of what the networks see.

    Raises:
        InputError: that is not the version of this code, there is no such architecture, or a value
            is of another kind or out of its range.
    """

    architecture: str = DEFAULT
    energy: NetworkConfig = field(
        # Asked several times for each sample, with its gradient; the other one is asked once.
        default_factory=lambda: NetworkConfig(width=320, summary=32, few_probes=True)
    )
    paper: PaperConfig = field(default_factory=PaperConfig)
    success: NetworkConfig = field(default_factory=lambda: NetworkConfig(width=256))
    length: float = 0.1
    sigma_min: float = 0.02
    sigma_max: float = 1.2
    grippers: dict[str, str] = field(default_factory=dict)
    layout: int = LAYOUT

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"the architecture must be {' or '.join(ARCHITECTURES)}, got {self.architecture!r}"
            )
        if self.layout != LAYOUT:
            raise InputError(
                f"its networks see the gripper and the object by layout {self.layout}, expected "
                f"{LAYOUT}"
            )
        for name in ("length", "sigma_min", "sigma_max"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{name} must be a number, got {value!r}")
        if not (0 < self.length < math.inf and 0 < self.sigma_min < self.sigma_max < math.inf):
            raise InputError(
                "the length and the noise levels must be above 0 and finite, and the greatest "
                f"level above the least, got {self.length}, and {self.sigma_min} to "
                f"{self.sigma_max}"
            )
        grippers: object = self.grippers
        if not isinstance(grippers, dict) or not all(
            isinstance(text, str) for pair in grippers.items() for text in pair
        ):
            raise InputError(f"grippers must be digests by name, got {grippers!r}")

    def as_dict(self) -> dict[str, Any]:
        """The description that `from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> FieldConfig:
        """The configuration that `as_dict` described."""
        given = dict(description)
        for name, kind in (
            ("energy", NetworkConfig), ("success", NetworkConfig), ("paper", PaperConfig),
        ):  # fmt: skip
            if name in given:
                given[name] = kind(**given[name])
        return cls(**given)
