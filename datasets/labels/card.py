"""The data card of a folder of labels: all its figures are counted from the files themselves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from datasets.labels.labelling import Settings, digest
from grasp.formats import Grasps
from grasp.grippers.gripper import SHIPPED
from grasp.judging.proportions import Estimate, cluster_bootstrap, success_rate
from grasp.physics import PROTOCOL
from pcdiff.files import atomic_write

FORMAT = "pcdiff-grasp/labels"
VERSION = 1
CARD, README = "card.json", "README.md"

_BOOTSTRAP = 102  # the second word of its seed

_LIMITS = """\
- Nothing was tried on a real robot. The physics is MuJoCo with rigid bodies; its protocol was tuned
  on one mug of ACRONYM, and agrees with ACRONYM's own labels as
  `experiments/results/calibrate_simulation.md` of the project says. Those come from a simulator
  too.
- The hand and the object float free: no arm, no table, no neighbours. A grasp that holds here may
  be out of reach.
- Objects are rigid and of one density throughout, and touch by their convex parts. Masses and
  frictions are the catalogue's, drawn by kind of material, or a guess where there is no catalogue;
  they were not measured.
- The success rate is that of these candidates, half of which were chosen clear of the object and
  a part of which are near misses. It is neither how graspable an object is, nor how good a planner
  is, nor comparable with the rate of a set of other candidates.
- The successes are not all grasps of an object: the candidates are antipodal or near an antipodal
  grasp. An object without success among them may have one.
- Grasps of one object are not independent: split by object, never by grasp."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of one object, as they were read from its file.

    Attributes:
        name: of the object.
        family: its family.
        licence: of its mesh.
        grasps: what the file holds.
    """

    name: str
    family: str
    licence: str
    grasps: Grasps


def write_card(
    output: Path,
    settings: Settings,
    options: Mapping[str, float | None],
    labels: Sequence[Labels],
    skipped: Sequence[str],
) -> dict[str, Any]:
    """Write `card.json` and `README.md`.

    Args:
        output: the folder of the labels.
        settings: of all labels.
        options: what else the command was given, by name; None for what it was not.
        labels: of every object that has some.
        skipped: a sentence for each other object.

    Returns:
        The content of `card.json`.

    Raises:
        InputError: a file cannot be written.
    """
    found = summary(settings, labels)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "command": command(settings, options),
        "date": datetime.now(UTC).date().isoformat(),
        **found,
        "skipped": list(skipped),
    }
    with atomic_write(output / CARD) as temporary:
        temporary.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with atomic_write(output / README) as temporary:
        temporary.write_text(readme(card), "utf-8")
    return card


def summary(settings: Settings, labels: Sequence[Labels]) -> dict[str, Any]:
    """What the labels are and how many of them hold, as JSON can hold it.

    Args:
        settings: of all labels.
        labels: of every object.
    """
    versions: dict[str, set[str]] = {}
    for each in labels:
        for package, number in (each.grasps.sampler or {}).get("made_with", {}).items():
            versions.setdefault(package, set()).add(number)
    families = sorted({each.family for each in labels})
    grasps = [each.grasps for each in labels]
    failures = Counter(name for g in grasps if g.failure is not None for name in g.failure.tolist())
    del failures[""]
    return {
        "gripper": settings.gripper.name,
        "protocol": PROTOCOL.version,
        "count": settings.count,
        "near_misses": settings.near_misses,
        "weights": None if settings.weights is None else digest(settings.weights),
        **({"view": True} if settings.view else {}),
        "seed": settings.seed,
        "made_with": {package: sorted(found) for package, found in sorted(versions.items())},
        **_figures([_success(g) for g in grasps], settings.seed),
        "families": {
            family: _figures(
                [_success(each.grasps) for each in labels if each.family == family], settings.seed
            )
            for family in families
        },
        "kinds": {
            kind: _figures([_success(g)[_kinds(g) == kind] for g in grasps], settings.seed)
            for kind in sorted({kind for g in grasps for kind in _kinds(g).tolist()})
        },
        "failures": dict(failures.most_common()),
        "without_success": [each.name for each in labels if not _success(each.grasps).any()],
        "licences": dict(sorted(Counter(each.licence for each in labels).items())),
        "by_object": {
            each.name: {
                "family": each.family,
                "grasps": len(each.grasps),
                "successes": int(_success(each.grasps).sum()),
                "mass": each.grasps.mass,
                "friction": each.grasps.friction,
            }
            for each in labels
        },
    }


def command(settings: Settings, options: Mapping[str, float | None]) -> str:
    """The command that makes the same labels again.

    Args:
        settings: of all labels.
        options: what else it was given, by name; None for what it was not.
    """
    name = settings.gripper.name
    gripper = name if (SHIPPED / f"{name}.toml").exists() else f"{name}.toml"
    given = "".join(f" --{key} {value:g}" for key, value in options.items() if value is not None)
    drawn = (
        f"--near-misses {settings.near_misses:g}"
        if settings.weights is None
        else f"--weights {settings.weights}" + (" --view" if settings.view else "")
    )
    return (
        f"python -m datasets.labels FOLDER --gripper {gripper} --count {settings.count} "
        f"{drawn} --seed {settings.seed}{given}"
    )


def readme(card: Mapping[str, Any]) -> str:
    """The data card for people.

    Args:
        card: as `write_card` writes it.
    """
    versions = ", ".join(
        f"{package} {' and '.join(found)}" for package, found in card["made_with"].items()
    )
    none = card["without_success"]
    rows = [
        "| family | objects | grasps | hold | success, % (95 %) | without success |",
        "|---|---|---|---|---|---|",
        *(_row(family, figures) for family, figures in card["families"].items()),
        _row("all", card),
    ]
    kinds = [
        "| candidates | grasps | hold | success, % (95 %) |",
        "|---|---|---|---|",
        *(
            f"| {kind} | {each['grasps']} | {each['successes']} | {_rate(each)} |"
            for kind, each in card["kinds"].items()
        ),
    ]
    failures = ", ".join(f"{reason} {number}" for reason, number in card["failures"].items())
    licences = ", ".join(f"{name} ({number})" for name, number in card["licences"].items())
    sections = [
        f"# Labelled grasps: {card['gripper']}, {card['objects']} objects",
        f"{card['grasps']} grasps of {card['objects']} objects, {card['successes']} of which hold "
        f"in physics. Both outcomes are kept.",
        "## How they were made",
        f"`{card['command']}`",
        f"Date {card['date']}, gripper {card['gripper']}, physics protocol {card['protocol']}, "
        f"seed {card['seed']}; {versions or 'no versions known'}. Of each object "
        f"{card['count']} {_source(card)}. Nothing was rejected. Each went through "
        "the same trial: the free hand closes, the object is shaken; a hand that overlaps the "
        "object to begin with is a failure.",
        "The candidates of an object depend on the seed and on its geometry alone, so more "
        "objects, other workers or machines change no label.",
        "## Success",
        "\n".join(rows),
        "Intervals: cluster bootstrap over objects; of one object, Wilson's over its grasps.",
        "\n".join(kinds),
        f"Failures: {failures or 'none'}.",
        f"Objects without a success: {', '.join(none) if none else 'none'}.",
        "Objects that could not be labelled: "
        + ("none." if not card["skipped"] else "\n\n" + _listed(card["skipped"])),
        "## Files",
        "`NAME.h5` holds the grasps of one object in ACRONYM's schema, poses in metres in the "
        "mesh's frame, with the mesh's file relative to the folder two above this one. Beside the "
        "schema, in the group `pcdiff_grasp`: the reason of each failure, the opening in the end, "
        "the kind of each candidate, and the conditions. `card.json` holds the figures above, and "
        "those of each object. In Python: `grasp.formats.read_grasps`.",
        "## Licence",
        f"Of the meshes, with how many: {licences or 'none'}. Labels are derived from the meshes.",
        "## What the labels are not",
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _source(card: Mapping[str, Any]) -> str:
    if card["weights"] is not None:
        seen = (
            ", which saw one side of the object, from a random direction with a depth camera's "
            "noise, while physics had the whole"
            if card.get("view")
            else ""
        )
        return f"samples of the grasp field whose weights have the SHA-256 {card['weights']}{seen}"
    return (
        "candidates: antipodal ones with varied approach and depth, thin places (rims, walls, "
        f"handles) among them, of which {100 * card['near_misses']:g} % in the mean were moved and "
        "turned a little: the near misses"
    )


def _success(grasps: Grasps) -> np.ndarray:
    return np.zeros(0, bool) if grasps.success is None else grasps.success


def _kinds(grasps: Grasps) -> np.ndarray:
    return np.array((grasps.sampler or {})["kinds"], np.str_)


def _figures(success: Sequence[np.ndarray], seed: int) -> dict[str, Any]:
    """Of the objects with these outcomes; a rate and its interval where there are grasps."""
    some = [each for each in success if len(each)]
    rate: Estimate | None = None
    if len(some) > 1:
        rate = cluster_bootstrap(some, np.random.default_rng([seed, _BOOTSTRAP]))
    elif some:
        rate = success_rate(some[0])
    return {
        "objects": len(success),
        "grasps": sum(len(each) for each in success),
        "successes": int(sum(each.sum() for each in success)),
        "success_rate": None if rate is None else rate.value,
        "success_rate_interval": None if rate is None else [rate.low, rate.high],
        "objects_without_success": sum(not each.any() for each in success),
    }


def _row(name: str, figures: Mapping[str, Any]) -> str:
    return (
        f"| {name} | {figures['objects']} | {figures['grasps']} | {figures['successes']} | "
        f"{_rate(figures)} | {figures['objects_without_success']} |"
    )


def _rate(figures: Mapping[str, Any]) -> str:
    if figures["success_rate"] is None:
        return "–"
    low, high = figures["success_rate_interval"]
    return f"{100 * figures['success_rate']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
