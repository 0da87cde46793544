"""Compare a field's best grasps with the best of a long search in physics.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.field_search sets/scanned-report [--weights NAME...]

The search knows the physics. It tries 3000 antipodal candidates per object, each under its own draw
of the unknown factors, and tries up to `FINALISTS` of the survivors again under new draws, until
`ROUNDS` rounds are done. Of the candidates that survived longest, 20 are judged under the frozen
draws of `uncertainty-1.toml`. So the search chooses on other draws than those that judge it. A
field is asked for 100 grasps, and its 20 best-ranked ones are judged under the same frozen draws.
"""

from __future__ import annotations

import argparse
import functools
import json
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from jaxtyping import Float

from experiments import record
from experiments.field_evaluation import SHIPPED, title
from grasp.field.trained import GraspField
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.judging.benchmark import load_set
from grasp.judging.candidates import candidates
from grasp.judging.proportions import cluster_bootstrap
from grasp.judging.report import TOP
from grasp.judging.streams import object_generator
from grasp.objects.object import Object
from grasp.physics import cores, processes, simulate_drawn, simulate_robust
from grasp.physics.workers import results_in_order
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SEED, STREAM, GRASPS, CANDIDATES = 0, 106, 100, 3000
ROUNDS, FINALISTS = 24, 300
"""Rounds of the search, each under new draws, and largest number of candidates after the first."""

_CHUNK = 100  # candidates per task of a worker process


def search(
    obj: Object, hand: Gripper, count: int, pool: Executor | None
) -> Float[np.ndarray, "best 4 4"]:
    """Return up to `TOP` candidates that survive most rounds of trials under new draws.

    Args:
        obj: The object.
        hand: The gripper.
        count: Number of candidates.
        pool: Processes for the trials.
    """
    poses = candidates(obj, hand, count, object_generator(SEED, STREAM, obj)).poses
    survived = np.zeros(len(poses), int)
    alive = np.arange(len(poses))
    for turn in range(ROUNDS):
        chunks = np.array_split(alive, max(1, len(alive) // _CHUNK))
        work = functools.partial(_held, obj, hand, turn)
        held = results_in_order(work, [(poses[each], int(each[0])) for each in chunks], pool)
        left = alive[np.concatenate(list(held))]
        if len(left) < TOP:
            break
        survived[left] += 1
        alive = left[:FINALISTS]
    # Among equals, the order of the random candidates decides.
    best = np.argsort(-survived, kind="stable")[:TOP]
    return poses[best[survived[best] > 0]]


def _held(obj: Object, hand: Gripper, turn: int, chunk: tuple[np.ndarray, int]) -> np.ndarray:
    poses, first = chunk
    seed = int(np.random.default_rng([SEED, STREAM, turn, first]).integers(2**62))
    return simulate_drawn(obj, hand, poses, seed).success


def main() -> None:
    """Judge the best of the search and of each field, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--weights", nargs="+", default=SHIPPED)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--kept", type=Path, default=Path("runs/field_search"))
    chosen = parser.parse_args()
    chosen.kept.mkdir(parents=True, exist_ok=True)
    hand = load_gripper("panda")
    fields = {name: GraspField.from_pretrained(name) for name in chosen.weights}
    by_object: dict[str, dict[str, float]] = {}
    with processes(cores()) as pool:
        for case in load_set(chosen.set).cases:
            kept = chosen.kept / f"{case.name}-{chosen.candidates}.json"
            if not kept.exists():
                best = search(case.truth, hand, chosen.candidates, pool)
                kept.write_text(json.dumps(best.tolist()))
            best = np.array(json.loads(kept.read_text())).reshape(-1, 4, 4)
            if len(best) < TOP:
                print(f"{case.name}: the search found {len(best)} grasps, so it is left out")
                continue
            found = {"search": best}
            for name, field in fields.items():
                sampled = field.condition(case.seen, hand, SEED).sample(GRASPS, seeded(SEED))
                found[title(name)] = sampled.poses[:TOP]
            by_object[case.name] = {
                name: _robust(case.truth, hand, poses, pool) for name, poses in found.items()
            }
            print(case.name, by_object[case.name], flush=True)
    record.write("field_search", SEED, {"by_object": by_object}, table(by_object))


def _robust(obj: Object, hand: Gripper, poses: np.ndarray, pool: Executor | None) -> float:
    """Return the mean robust success of grasps, or 0 without a grasp."""
    if not len(poses):
        return 0.0
    return float(simulate_robust(obj, hand, poses, pool=pool).success.mean())


def table(by_object: dict[str, dict[str, float]]) -> str:
    """Return the results in Markdown.

    Args:
        by_object: Mean robust success of the 20 grasps of each source, by object.
    """
    sources = list(next(iter(by_object.values())))
    rows = [["source", "robust success of 20 grasps, %", "behind the search, points"]]
    for source in sources:
        values = np.array([found[source] for found in by_object.values()])
        behind = np.array([found["search"] - found[source] for found in by_object.values()])
        rows.append([source, _interval(values), "–" if source == "search" else _interval(behind)])
    objects = [["object", *sources]]
    objects += [
        [name, *(f"{100 * found[source]:.1f}" for source in sources)]
        for name, found in by_object.items()
    ]
    note = f"Means over {len(by_object)} objects with 95 % intervals over objects."
    return f"{markdown_table(rows)}\n\n{note}\n\n{markdown_table(objects)}"


def _interval(values: Float[np.ndarray, " objects"]) -> str:
    mean, low, high = cluster_bootstrap(list(values[:, None]), np.random.default_rng(SEED))
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
