"""The configuration of a new grasp field, from a file of settings and single choices.

A settings file has entries of `FieldConfig`. All entries are optional:

    architecture = "default"     # or "paper"
    length = 0.1
    sigma_min = 0.02
    sigma_max = 1.2
    [energy]                     # as in grasp.field.networks.energy.NetworkConfig
    width = 320
    layers = 3
    [success]
    width = 256
    [paper]                      # as in grasp.field.networks.paper.PaperConfig
    width = 208
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from grasp.field.configuration import DEFAULT, PAPER, FieldConfig
from pcdiff.errors import InputError
from pcdiff.learning.settings import check_like, check_names, read_settings

_NETWORKS = ("energy", "success", "paper")
_NUMBERS = ("architecture", "length", "sigma_min", "sigma_max")


def field_config(
    architecture: str | None = None,
    width: int | None = None,
    config: str | os.PathLike[str] | None = None,
) -> FieldConfig:
    """Return the configuration of a new field.

    Args:
        architecture: Architecture of the energy network; None means that of the settings, or
            "default".
        width: Width of the hidden layers of the energy network of this architecture and of the
            success network; None means the widths in the settings, or the default widths.
        config: File of settings (.toml or .json); None means the defaults.

    Raises:
        InputError: If the settings cannot be read, an entry is unknown or has a wrong value, or an
            argument is also stated in the settings.
    """
    if config is None:
        return _built({}, architecture, width)
    try:
        return _built(read_settings(config), architecture, width)
    except InputError as error:
        if str(config) in str(error):
            raise
        raise InputError(f"{config}: {error}", parameter=error.parameter) from error


def _built(settings: dict[str, Any], architecture: str | None, width: int | None) -> FieldConfig:
    given = dict(check_names("the settings", settings, (*_NUMBERS, *_NETWORKS)))
    defaults = FieldConfig()
    numbers = {name: given[name] for name in _NUMBERS if name in given}
    own = {name: getattr(defaults, name) for name in _NUMBERS}
    chosen: dict[str, Any] = dict(check_like("the settings", numbers, own))
    if architecture not in (None, chosen.get("architecture", architecture)):
        raise InputError(
            f"the architecture must be stated once, got {architecture!r}, but the settings have "
            f"{chosen['architecture']!r}",
            parameter="architecture",
        )
    if architecture is not None:
        chosen["architecture"] = architecture
    paper = chosen.get("architecture", DEFAULT) == PAPER
    sized = ("paper" if paper else "energy", "success")
    for name in _NETWORKS:
        network: Any = getattr(defaults, name)
        entries = dict(check_like(name, given.get(name, {}), dataclasses.asdict(network)))
        if width is not None and name in sized:
            if "width" in entries:
                raise InputError(
                    f"the width must be stated once, but the settings also have {name}.width",
                    parameter="width",
                )
            entries |= check_like(name, {"width": width}, {"width": 1})
        chosen[name] = dataclasses.replace(network, **entries)
    return FieldConfig(**chosen)
