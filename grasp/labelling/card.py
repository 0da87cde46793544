"""The data card of a folder of labels, with statistics that are computed from the label files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import SHIPPED
from grasp.judging.proportions import Estimate, cluster_bootstrap, success_rate
from grasp.labelling.jobs import Settings, digest
from grasp.physics import load_uncertainty
from pcdiff.files import atomic_write

FORMAT = "pcdiff-grasp/labels"
VERSION = 1
CARD, README = "card.json", "README.md"

_BOOTSTRAP = 102  # the bootstrap's seed consists of the seed of the labels and this number

_LIMITS = """\
- Nothing was tried on a real robot. The physics is MuJoCo with rigid bodies. Its protocols were
  tuned on labels that also come from simulators: protocol 2 on one mug from ACRONYM, protocol 3 on
  a mug and a table and on published grasps. `experiments/results/calibrate_protocol.md` in the
  project states how well they agree.
- The hand and the object float freely: there is no arm, no table and no other object. A grasp that
  holds here may be out of reach.
- Objects are rigid, have the same density throughout, and touch through their convex parts. Masses
  and frictions come from the catalogue, where they were drawn by kind of material, or are a guess
  if there is no catalogue. They were not measured.
- The success rate belongs to these candidates: half of them were chosen free of collision, and some
  are near misses. It does not measure how graspable an object is or how good a planner is, and it
  cannot be compared with the rate of other candidates.
- The successes are not all the grasps that an object has: every candidate is antipodal or close to
  an antipodal grasp. An object without a success here may still have grasps that hold.
- Grasps of one object are not independent: split the data by object, never by grasp."""


@dataclass(frozen=True, eq=False)
class ObjectLabels:
    """The labels of one object, read from its label file.

    Attributes:
        name: Name of the object.
        family: Family of the object.
        licence: Licence of the mesh.
        grasps: Labelled grasps in the file.
    """

    name: str
    family: str
    licence: str
    grasps: Grasps


def write_card(
    output: Path,
    settings: Settings,
    options: Mapping[str, float | None],
    labels: Sequence[ObjectLabels],
    skipped: Sequence[str],
    program: str,
) -> dict[str, Any]:
    """Write the data card of a folder of labels to `card.json` and `README.md`.

    Args:
        output: Folder of the labels.
        settings: Settings of all labels.
        options: Other options of the command, by name; None for an option that was not given.
        labels: Labels of every labelled object.
        skipped: One sentence for each object without labels.
        program: Beginning of the command that makes the labels.

    Returns:
        The content of `card.json`.

    Raises:
        InputError: If a file cannot be written.
    """
    found = summary(settings, labels)
    card = {
        "format": FORMAT,
        "version": VERSION,
        "command": command(settings, options, program),
        "date": datetime.now(UTC).date().isoformat(),
        **found,
        "skipped": list(skipped),
    }
    with atomic_write(output / CARD) as temporary:
        temporary.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with atomic_write(output / README) as temporary:
        temporary.write_text(readme(card), "utf-8")
    return card


def summary(settings: Settings, labels: Sequence[ObjectLabels]) -> dict[str, Any]:
    """Return the origin and the statistics of the labels as a dictionary for JSON.

    Args:
        settings: Settings of all labels.
        labels: Labels of every object.
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
        "protocol": settings.protocol,
        "count": settings.count,
        "near_misses": settings.near_misses,
        **({"far_misses": settings.far_misses} if settings.far_misses else {}),
        **({"uncertainty": load_uncertainty().version} if settings.uncertain else {}),
        "weights": None if settings.weights is None else digest(settings.weights),
        **({"view": True} if settings.view else {}),
        **({"noise": settings.noise} if settings.noise else {}),
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


def command(settings: Settings, options: Mapping[str, float | None], program: str) -> str:
    """Return the command that makes the same labels again.

    Args:
        settings: Settings of all labels.
        options: Other options of the command, by name; None for an option that was not given.
        program: Beginning of the command.
    """
    name = settings.gripper.name
    gripper = name if (SHIPPED / f"{name}.toml").exists() else f"{name}.toml"
    given = "".join(f" --{key} {value:g}" for key, value in options.items() if value is not None)
    far = f" --far-misses {settings.far_misses:g}" if settings.far_misses else ""
    drawn = (
        f"--near-misses {settings.near_misses:g}{far}"
        if settings.weights is None
        else f"--weights {settings.weights}{' --view' if settings.view else ''}"
        + (f" --noise {settings.noise:g}" if settings.noise else "")
    )
    return (
        f"{program} --gripper {gripper} --count {settings.count} "
        f"{drawn} --seed {settings.seed}{given}{' --uncertain' if settings.uncertain else ''}"
    )


def readme(card: Mapping[str, Any]) -> str:
    """Return the data card in Markdown.

    Args:
        card: Content of `card.json`.
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
        "in physics. The files keep successes and failures.",
        "## How they were made",
        f"`{card['command']}`",
        f"Date {card['date']}, gripper {card['gripper']}, physics protocol {card['protocol']}, "
        f"seed {card['seed']}; {versions or 'versions unknown'}. Each object has "
        f"{card['count']} {_source(card)}. None was rejected. Every grasp went through the same "
        "trial: the free hand closes, then the object is shaken. A hand that overlaps the object "
        f"at the start counts as a failure.{_draws(card)}",
        "The candidates of an object depend only on the seed and on its geometry, so adding "
        "objects or using other workers or machines changes no label.",
        "## Success",
        "\n".join(rows),
        "Intervals: cluster bootstrap over objects; for a single object, Wilson's interval over "
        "its grasps.",
        "\n".join(kinds),
        f"Failures: {failures or 'none'}.",
        f"Objects without a success: {', '.join(none) if none else 'none'}.",
        "Objects that could not be labelled: "
        + ("none." if not card["skipped"] else "\n\n" + _listed(card["skipped"])),
        "## Files",
        "`NAME.h5` holds the grasps of one object in ACRONYM's schema, with poses in metres in the "
        "mesh's frame. It names the mesh file relative to the folder two levels above this one. In "
        "addition to the schema, the group `pcdiff_grasp` holds the reason of each failure, the "
        "final opening of the hand, the kind of each candidate, and the conditions. `card.json` "
        "holds the figures above and those of each object. In Python: "
        "`grasp.formats.read_grasps`.",
        "## Licence",
        f"Licences of the meshes, with the number of objects: {licences or 'none'}. The labels are "
        "derived from the meshes.",
        "## What the labels are not",
        _LIMITS,
    ]
    return "\n\n".join(sections) + "\n"


def _source(card: Mapping[str, Any]) -> str:
    if card["weights"] is not None:
        seen = (
            "; the field saw one side of the object, from a random direction and with the noise "
            "of a depth camera, while physics used the whole object"
            if card.get("view")
            else ""
        )
        return f"samples of the grasp field whose weights have the SHA-256 {card['weights']}{seen}"
    far = card.get("far_misses", 0.0)
    return (
        "candidates: antipodal grasps with varied approach and depth, including grasps of thin "
        f"places (rims, walls, handles). On average {100 * card['near_misses']:g} % of them are "
        "near misses, which were moved and turned a little"
        + (f", and {100 * far:g} % are far misses, often in empty air" if far else "")
    )


def _draws(card: Mapping[str, Any]) -> str:
    if "uncertainty" not in card:
        return ""
    return (
        " Each grasp was tried under its own draw of friction, mass, centre of mass, force and the "
        f"hand's position from the distribution `uncertainty-{card['uncertainty']}.toml` of "
        "`grasp.physics`."
    )


def _success(grasps: Grasps) -> np.ndarray:
    return np.zeros(0, bool) if grasps.success is None else grasps.success


def _kinds(grasps: Grasps) -> np.ndarray:
    return np.array((grasps.sampler or {})["kinds"], np.str_)


def _figures(success: Sequence[np.ndarray], seed: int) -> dict[str, Any]:
    """Count objects, grasps and successes, and compute the success rate with its 95 % interval.

    The rate is None if there are no grasps.
    """
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
