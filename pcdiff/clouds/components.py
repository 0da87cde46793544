"""The parts from which a generator is built, by name: networks, encoders and priors.

A configuration names its parts. `SHIPPED` holds the parts of this package; a user who brings other
parts passes an extended copy:

    components = SHIPPED.extended(networks={"mine": MyNetwork})
    model = PointCloudGenerator(config, components)
    model = PointCloudGenerator.from_pretrained("mine.safetensors", components)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from pcdiff.clouds.networks.encoders import PointNetEncoder
from pcdiff.clouds.networks.gated import GatedPointNetwork
from pcdiff.clouds.priors import FlowPrior, GaussianPrior
from pcdiff.errors import InputError

NO_PRIOR = "none"
"""Name in a configuration that means no prior: an auto-encoder."""

Maker = Callable[..., nn.Module]
"""Makes a part from the size of the latent and the options of a `Choice`."""


@dataclass(frozen=True)
class Choice:
    """The choice of a part: its name and its options.

    Attributes:
        name: Name of the part in `Components`.
        options: Keyword arguments that the part is made with; all values must be valid in JSON.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The choice as a dictionary; `Choice(**dictionary)` restores it."""
        return asdict(self)


@dataclass(frozen=True)
class Components:
    """The parts that a configuration can name.

    Attributes:
        networks: For each name, a function that makes a network that predicts the velocity (see
            `pcdiff.clouds.networks.interface.CloudNetwork`). It is called as
            `maker(latent, **options)`.
        encoders: For each name, a function that makes an encoder (see `CloudEncoder` in the same
            module). It is called in the same way.
        priors: For each name, a function that makes a law of the latent (see
            `pcdiff.clouds.priors.LatentPrior`). It is called in the same way.

    Raises:
        InputError: If a prior is called "none", which in a configuration means no prior.
    """

    networks: Mapping[str, Maker]
    encoders: Mapping[str, Maker]
    priors: Mapping[str, Maker]

    def __post_init__(self) -> None:
        if NO_PRIOR in self.priors:
            raise InputError(f"no prior can be called {NO_PRIOR!r}, which means no prior")

    def extended(
        self,
        networks: Mapping[str, Maker] | None = None,
        encoders: Mapping[str, Maker] | None = None,
        priors: Mapping[str, Maker] | None = None,
    ) -> Components:
        """Return a copy with more parts; a part with an existing name replaces the old part."""
        return replace(
            self,
            networks={**self.networks, **(networks or {})},
            encoders={**self.encoders, **(encoders or {})},
            priors={**self.priors, **(priors or {})},
        )

    def make(self, kind: str, choice: Choice, latent: int) -> nn.Module:
        """Make the part that a configuration chose.

        Args:
            kind: Kind of the part: "networks", "encoders" or "priors".
            choice: Name and options of the part.
            latent: Size of the shape latent.

        Raises:
            InputError: If there is no such part, or it does not take these options.
        """
        makers: Mapping[str, Maker] = getattr(self, kind)
        if choice.name not in makers:
            raise InputError(
                f"there is no part {choice.name!r} among the {kind}, expected one of "
                f"{', '.join(makers)}"
            )
        try:
            return makers[choice.name](latent, **choice.options)
        except TypeError as error:
            raise InputError(f"{choice.name} among the {kind} cannot be made: {error}") from error


SHIPPED = Components(
    networks={"gated": GatedPointNetwork},
    encoders={"pointnet": PointNetEncoder},
    priors={"flow": FlowPrior, "gaussian": GaussianPrior},
)
"""The parts that the package carries."""
