"""Measure which objects a field refuses, and whether the seed matters.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.field_refusals sets [--weights NAME...]

The objects are the frozen set too-large (primitives, cans and blocks of 85 to 110 mm), and the
meshes of the sets made and scanned-report at their own size, at twice and at four times this size.
An object fits if at least 1 % of its 300 antipodal candidates are robust. Each object is
asked for 40 grasps with five seeds. A refusal is an empty result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments import record
from experiments.field_evaluation import SHIPPED, title
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.judging.benchmark import load_set
from grasp.judging.laboratory import open_laboratory
from grasp.judging.proportions import fits
from grasp.judging.sources import kept_labels
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, cores
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SEED, SEEDS, GRASPS, CANDIDATES = 0, 5, 40, 300
SCALES = (1, 2, 4)


def objects(sets: Path) -> Iterator[tuple[str, Object]]:
    """Yield the objects, each with the name of its group.

    Args:
        sets: Folder of the frozen sets.
    """
    for case in load_set(sets / "too-large").cases:
        yield "too large", case.truth
    for name in ("made", "scanned-report"):
        for case in load_set(sets / name).cases:
            for scale in SCALES:
                yield f"{name} × {scale}", enlarged(case.truth, scale)


def enlarged(obj: Object, scale: int) -> Object:
    """Return a larger copy of an object.

    Args:
        obj: The object, a mesh.
        scale: Factor of all lengths.
    """
    if scale == 1 or obj.faces is None:
        return obj
    parts = None
    if obj.parts is not None:
        parts = tuple((scale * vertices, faces) for vertices, faces in obj.parts)
    name = f"{obj.name}-x{scale}"
    return Object.from_mesh(scale * obj.vertices, obj.faces, name=name, parts=parts)


def main() -> None:
    """Ask every field for grasps of every object, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--weights", nargs="+", default=SHIPPED)
    parser.add_argument("--kept", type=Path, default=Path("runs/field_evaluation"))
    chosen = parser.parse_args()
    hand = load_gripper("panda")
    fields = {name: GraspField.from_pretrained(name) for name in chosen.weights}
    found: dict[str, list[dict[str, Any]]] = {title(name): [] for name in fields}
    with open_laboratory(Conditions(), PROTOCOL, workers=cores()) as laboratory:
        label = kept_labels(
            chosen.kept / "labels", hand, laboratory.labeller,
            count=CANDIDATES, seed=SEED, physics=laboratory.facts,
        )  # fmt: skip
        for group, obj in objects(chosen.sets):
            success = label(obj).success
            fitting = success is not None and len(success) > 0 and fits(success)
            for name, field in fields.items():
                refused = [
                    not len(field.condition(obj, hand, seed).sample(GRASPS, seeded(seed)))
                    for seed in range(SEEDS)
                ]
                row = {"group": group, "name": obj.name, "fits": bool(fitting), "refused": refused}
                found[title(name)].append(row)
            print(
                group,
                obj.name,
                fitting,
                json.dumps({n: f[-1]["refused"] for n, f in found.items()}),
            )
    record.write("field_refusals", SEED, found, table(found))


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the results in Markdown.

    Args:
        found: For each weights, one entry per object.
    """
    seeds = [f"seed {seed}" for seed in range(SEEDS)]
    rows = [["weights", "objects", "number", *(f"refused, {seed}, %" for seed in seeds)]]
    for name, entries in found.items():
        for text, fitting in (("that do not fit", False), ("that fit", True)):
            chosen = [each for each in entries if each["fits"] == fitting]
            refused = np.array([each["refused"] for each in chosen]).reshape(-1, SEEDS)
            shares = [f"{100 * share:.1f}" for share in refused.mean(axis=0)]
            rows.append([name, text, str(len(chosen)), *shares])
    groups = [
        ["weights", "group", "do not fit", "of these refused, %", "fit", "of these refused, %"]
    ]
    for name, entries in found.items():
        for group in dict.fromkeys(each["group"] for each in entries):
            cells = []
            for fitting in (False, True):
                some = [
                    each["refused"]
                    for each in entries
                    if each["group"] == group and each["fits"] == fitting
                ]
                cells += [str(len(some)), f"{100 * np.mean(some):.1f}" if some else "–"]
            groups.append([name, group, *cells])
    return f"{markdown_table(rows)}\n\n{markdown_table(groups)}"


if __name__ == "__main__":
    main()
