"""The named components of a generator: networks, encoders and priors.

A configuration names its components. `SHIPPED` contains the components of this package. A user with
other components passes an extended copy:

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
from pcdiff.clouds.networks.interface import CloudEncoder, CloudNetwork
from pcdiff.clouds.priors import FlowPrior, GaussianPrior, LatentPrior
from pcdiff.errors import InputError

NO_PRIOR = "none"
"""The name in a configuration that means "no prior": the model is an auto-encoder."""

_INTERFACES: dict[str, type] = {
    "networks": CloudNetwork,
    "encoders": CloudEncoder,
    "priors": LatentPrior,
}

Maker = Callable[..., nn.Module]
"""Function that builds a component from the size of the latent and the options of a `Choice`.

Weights are loaded by building their model twice, first on torch's device "meta" to compare its
shapes with the file. So a function must not read values of the tensors that it makes."""


@dataclass(frozen=True)
class Choice:
    """The choice of a component: its name and its options.

    Attributes:
        name: Name of the component in `Components`.
        options: Keyword arguments of the component; all values must be valid in JSON.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The choice as a dictionary; `Choice(**dictionary)` restores it."""
        return asdict(self)


@dataclass(frozen=True)
class Components:
    """The components that a configuration can name.

    Each component has a maker, a function that is called as `maker(latent, **options)`.

    Attributes:
        networks: Makers of networks by name. A network predicts the velocity; see
            `pcdiff.clouds.networks.interface.CloudNetwork`.
        encoders: Makers of encoders by name; see
            `pcdiff.clouds.networks.interface.CloudEncoder`.
        priors: Makers of priors by name; see `pcdiff.clouds.priors.LatentPrior`.

    Raises:
        InputError: If a prior has the name "none", which means that a model has no prior.
    """

    networks: Mapping[str, Maker]
    encoders: Mapping[str, Maker]
    priors: Mapping[str, Maker]

    def __post_init__(self) -> None:
        if NO_PRIOR in self.priors:
            raise InputError(f"the name of a prior must not be {NO_PRIOR!r}, which means no prior")

    def extended(
        self,
        networks: Mapping[str, Maker] | None = None,
        encoders: Mapping[str, Maker] | None = None,
        priors: Mapping[str, Maker] | None = None,
    ) -> Components:
        """Return a copy with new components, which replace old components of equal names."""
        return replace(
            self,
            networks={**self.networks, **(networks or {})},
            encoders={**self.encoders, **(encoders or {})},
            priors={**self.priors, **(priors or {})},
        )

    def make(self, kind: str, choice: Choice, latent: int) -> nn.Module:
        """Build the component that a configuration names.

        Args:
            kind: Kind of the component: "networks", "encoders" or "priors".
            choice: Name and options of the component.
            latent: Size of the shape latent.

        Raises:
            InputError: If the name is unknown, the component does not accept the options, or it
                does not have the interface of its kind.
        """
        makers: Mapping[str, Maker] = getattr(self, kind)
        if choice.name not in makers:
            raise InputError(
                f"the component must be one of the {kind} ({', '.join(makers)}), "
                f"got {choice.name!r}"
            )
        try:
            made = makers[choice.name](latent, **choice.options)
        except TypeError as error:
            raise InputError(
                f"the component {choice.name!r} (one of the {kind}) cannot be built: "
                f"{' '.join(str(error).split())[:400]}"
            ) from error
        interface = _INTERFACES[kind]
        if not isinstance(made, interface):
            raise InputError(
                f"{type(made).__name__} must have all attributes and methods of "
                f"{interface.__name__} in {interface.__module__}, but lacks at least one"
            )
        return made


SHIPPED = Components(
    networks={"gated": GatedPointNetwork},
    encoders={"pointnet": PointNetEncoder},
    priors={"flow": FlowPrior, "gaussian": GaussianPrior},
)
"""The components of this package."""
