"""The configuration of a new generator, from a file of settings and single choices.

A settings file has entries of `GeneratorConfig`. All entries are optional:

    latent = 128
    kl_weight = 1e-4
    prior = "gaussian"           # a name, or a table like the networks
    [schedule]
    name = "cosine"
    steps = 500
    [network]
    name = "gated"
    options = {widths = [64, 128, 64]}
    [encoder]
    options = {widths = [64, 128], head = 64}

The options of a network, an encoder or a prior are the arguments of its class, without `latent`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from pcdiff.bounds import shown
from pcdiff.clouds.components import NO_PRIOR, SHIPPED, Choice, Components
from pcdiff.clouds.configuration import GeneratorConfig
from pcdiff.diffusion.schedules import SCHEDULES, Schedule
from pcdiff.errors import InputError
from pcdiff.learning.settings import check_like, check_names

_PARTS = {"network": "networks", "encoder": "encoders", "prior": "priors"}
_NAMES = ("latent", "network", "encoder", "prior", "kl_weight", "schedule")


def model_choices(
    settings: Mapping[str, Any], width: int | None = None, components: Components = SHIPPED
) -> dict[str, Any]:
    """Return keyword arguments of `GeneratorConfig` for a settings file.

    Args:
        settings: Entries of the settings file; see `pcdiff.learning.settings.read_settings`.
        width: Width of the network that predicts the velocity. A network with an option `width`
            takes this width. For a network with an option `widths`, the default widths are scaled
            so that the largest is this width. None means the width in the settings.
        components: The components that the settings may name.

    Raises:
        InputError: If an entry is unknown or has a wrong value, a component is unknown, or the
            width is stated twice or is no option of the network.
    """
    given = check_names("the settings", dict(settings), _NAMES)
    numbers = {name: given[name] for name in ("latent", "kl_weight") if name in given}
    choices: dict[str, Any] = dict(
        check_like("the settings", numbers, {"latent": 1, "kl_weight": 1.0})
    )
    defaults = GeneratorConfig()
    for part, kind in _PARTS.items():
        if part in given:
            default = getattr(defaults, part)
            choices[part] = _choice(part, given[part], default, getattr(components, kind))
    if "schedule" in given:
        choices["schedule"] = _schedule(given["schedule"])
    if width is not None:
        network = choices.get("network", defaults.network)
        sized = _sized(network, width, components.networks[network.name])
        choices["network"] = Choice(network.name, {**network.options, **sized})
    return choices


def options_of(maker: Any) -> dict[str, Any]:
    """Return the options of a component with their defaults: its arguments without `latent`.

    Args:
        maker: Maker of the component, as in `Components`.
    """
    parameters = list(inspect.signature(maker).parameters.values())[1:]
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _choice(part: str, entry: object, default: Choice, makers: Mapping[str, Any]) -> Choice:
    table = {"name": entry} if isinstance(entry, str) else entry
    table = check_names(part, table, ("name", "options"))
    name = table.get("name", default.name)
    known = [*makers, NO_PRIOR] if part == "prior" else [*makers]
    if name not in known:
        raise InputError(f"{part}.name must be one of {', '.join(known)}, got {shown(name)}")
    options = table.get("options", {})
    accepted = {} if name == NO_PRIOR else options_of(makers[name])
    return Choice(name, check_like(f"{part}.options", options, accepted))


def _schedule(entry: object) -> Schedule:
    table = {"name": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict):
        raise InputError(f"schedule must be a table or a name, got {shown(table)}")
    name = table.get("name", "cosine")
    if name not in [*SCHEDULES]:
        raise InputError(f"schedule.name must be one of {', '.join(SCHEDULES)}, got {shown(name)}")
    kind: Any = SCHEDULES[name]
    defaults = {each.name: each.default for each in dataclasses.fields(kind)}
    options = {key: value for key, value in table.items() if key != "name"}
    made: Schedule = kind(**check_like("schedule", options, defaults))
    return made


def _sized(network: Choice, width: int, maker: Any) -> dict[str, Any]:
    """Return the options that give a network a width."""
    accepted = options_of(maker)
    if stated := {"width", "widths"} & network.options.keys():
        raise InputError(
            f"the width must be stated once, but the settings also have network.options."
            f"{stated.pop()}",
            parameter="width",
        )
    if "width" in accepted:
        return check_like("the network", {"width": width}, accepted)
    if "widths" not in accepted:
        raise InputError(f"the network {network.name!r} has no option width", parameter="width")
    check_like("the network", {"width": width}, {"width": 1})
    largest = max(accepted["widths"])
    return {"widths": [max(1, round(width * each / largest)) for each in accepted["widths"]]}
