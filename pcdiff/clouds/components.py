"""The parts of a generator by name: networks, encoders and priors.

A configuration names its parts. `SHIPPED` knows those of the package; a user who brings others
passes a record that knows those, too:

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
    """A part by name.

    Attributes:
        name: Name of the part in `Components`.
        options: Keyword arguments of the part, as JSON can hold them.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The description that `Choice(**description)` reads back."""
        return asdict(self)


@dataclass(frozen=True)
class Components:
    """The parts that a configuration can name.

    Attributes:
        networks: Networks that predict the velocity; see
            `pcdiff.clouds.networks.interface.CloudNetwork`. Called as `maker(latent, **options)`.
        encoders: Encoders, see `CloudEncoder` there; called likewise.
        priors: Laws of the latent, see `pcdiff.clouds.priors.LatentPrior`; called likewise.

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
        """These parts and others; a name that is taken means the new part."""
        return replace(
            self,
            networks={**self.networks, **(networks or {})},
            encoders={**self.encoders, **(encoders or {})},
            priors={**self.priors, **(priors or {})},
        )

    def make(self, kind: str, choice: Choice, latent: int) -> nn.Module:
        """The part of a kind that a configuration chose.

        Args:
            kind: "networks", "encoders" or "priors".
            choice: Name and options.
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
