"""Measure the energy and the probability of a field as costs of a planner.

    python -m datasets.frozen --meshes FOLDER --output sets
    python -m experiments.field_cost sets/scanned-report [--weights NAME...] [--kept FOLDER]

- Descent: 500 random poses, spread over the objects, with the tool centre point within 30 cm of the
  centre of the surface. Each goes down the gradient of E(σ = 0.05) in 200 steps. A step is 1 cm or
  0.1 rad long, and shrinks in the second half. Far: the tool centre point ends further than 5 cm
  from the surface.
- Half turn: largest change of E(0.05), and of the probability, when the hand is turned by π about
  its approach axis, over the deviation of E and in points.
- New surface points: mean change of E(0.05) of candidates when the points on the surface are drawn
  anew, over the deviation of E of the object's candidates.
- Area: area under the ROC curve of −E(0.05) against being a robust grasp, over the antipodal
  candidates of all objects together, and the mean over single objects.
- Free poses: random poses like the starts, in which the open hand does not collide and the tool
  centre point is outside the object and further than 3 cm from it. Share with a probability of
  success below 0.02.
"""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from experiments import record
from experiments.agreement import area_under_curve
from experiments.field_evaluation import SHIPPED, title
from grasp.field.conditioned import ConditionedField
from grasp.field.trained import GraspField
from grasp.formats import Grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.benchmark import Case, load_set
from grasp.judging.laboratory import open_laboratory
from grasp.judging.sources import kept_labels
from grasp.objects.signed_distances import signed_distance
from grasp.physics import PROTOCOL, Conditions, cores
from grasp.poses.frames import HALF_TURN
from grasp.scenes.collision import in_collision
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SEED, SIGMA, STARTS, RADIUS, CANDIDATES = 0, 0.05, 500, 0.3, 300
STEPS, STEP = 200, 0.1
"""Number of steps of the descent, and their length in radians or in multiples of ℓ = 10 cm."""

FAR, FREE, UNLIKELY = 0.05, 0.03, 0.02
"""Distances in metres beyond which an end is far and a free pose counts, and a low probability."""


@dataclass(frozen=True, eq=False)
class Figures:
    """Results of one object or of several; see the text of this module.

    Attributes:
        far: Whether each descent ends far from the surface.
        turn: Change of each candidate's energy under the half turn, over the deviation.
        turn_probability: Change of each candidate's probability under the half turn.
        redrawn: Change of each candidate's energy by new surface points, over the deviation.
        energy: Energy of each candidate.
        held: Whether each candidate is a robust grasp.
        unlikely: Whether each free pose has a low probability of success.
    """

    far: Bool[np.ndarray, " starts"]
    turn: Float[np.ndarray, " candidates"]
    turn_probability: Float[np.ndarray, " candidates"]
    redrawn: Float[np.ndarray, " candidates"]
    energy: Float[np.ndarray, " candidates"]
    held: Bool[np.ndarray, " candidates"]
    unlikely: Bool[np.ndarray, " poses"]

    @classmethod
    def joined(cls, parts: list[Figures]) -> Figures:
        """Join the results of several objects."""
        names = [each.name for each in dataclasses.fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def measure(field: GraspField, case: Case, labels: Grasps, starts: int) -> Figures:
    """Measure a field on one object.

    Args:
        field: The field.
        case: The object.
        labels: Antipodal candidates of the object with their outcomes.
        starts: Number of descents.
    """
    known, again = (field.condition(case.seen, seed=seed) for seed in (SEED, SEED + 1))
    far = np.abs(distance(known, case, descended(known, random_poses(known, starts, 1)))) > FAR
    free = random_poses(known, 10 * starts, 2)
    hits = in_collision(free.double().numpy(), known.gripper, known.points)
    free = free[torch.from_numpy(~hits & (distance(known, case, free) > FREE))]
    poses = torch.from_numpy(labels.poses).float()
    turned = poses * torch.tensor(HALF_TURN)
    with torch.no_grad():
        energy, probability = known.cost(poses, SIGMA), known.success_probability(poses)
        deviation = energy.std()
        turn = (known.cost(turned, SIGMA) - energy).abs() / deviation
        turn_probability = (known.success_probability(turned) - probability).abs()
        redrawn = (again.cost(poses, SIGMA) - energy).abs() / deviation
        unlikely = known.success_probability(free) < UNLIKELY
    held = np.asarray(labels.success)
    return Figures(
        far, turn.numpy(), turn_probability.numpy(), redrawn.numpy(), energy.numpy(), held,
        unlikely.numpy(),
    )  # fmt: skip


def random_poses(field: ConditionedField, count: int, stream: int) -> Float[Tensor, "count 4 4"]:
    """Draw poses whose tool centre point is uniform in a ball about the centre of the surface.

    Args:
        field: The conditioned field.
        count: Number of poses.
        stream: Number of the random stream.
    """
    generator = seeded(SEED, stream)
    poses = field.model.space.random((count, 4, 4), 10.0, generator, centre=torch.zeros(3))
    away = torch.randn(count, 3, generator=generator)
    radius = RADIUS * torch.rand(count, 1, generator=generator) ** (1 / 3)
    tool = field.centre + radius * away / away.norm(dim=1, keepdim=True)
    offset = torch.tensor(field.gripper.tool_center_point, dtype=poses.dtype)
    poses[:, :3, 3] = tool - poses[:, :3, :3] @ offset
    return poses


def descended(
    field: ConditionedField, poses: Float[Tensor, "count 4 4"]
) -> Float[Tensor, "count 4 4"]:
    """Move poses down the gradient of the energy.

    Args:
        field: The conditioned field.
        poses: Poses at the beginning.
    """
    space = field.model.space
    for step in range(STEPS):
        _, gradient = field.cost_and_gradient(poses, SIGMA)
        # In units of the noise, a metre and a radian have the same weight.
        unit = space.from_unit(gradient)
        length = STEP * min(1.0, 2 * (1 - step / STEPS))
        move = -length * unit / unit.norm(dim=1, keepdim=True).clamp(min=1e-9)
        poses = space.retract(poses, space.from_unit(move))
    return poses


def distance(
    field: ConditionedField, case: Case, poses: Float[Tensor, "count 4 4"]
) -> Float[np.ndarray, " count"]:
    """Return the signed distance in metres from each tool centre point to the object.

    Args:
        field: The conditioned field.
        case: The object.
        poses: Poses `T_object_grasp`.
    """
    offset = np.array(field.gripper.tool_center_point)
    place = poses.double().numpy()
    return signed_distance(case.truth, place[:, :3, 3] + place[:, :3, :3] @ offset)


def main() -> None:
    """Measure every field on the set, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--weights", nargs="+", default=SHIPPED)
    parser.add_argument("--kept", type=Path, default=Path("runs/field_evaluation"))
    chosen = parser.parse_args()
    hand, cases = load_gripper("panda"), load_set(chosen.set).cases
    with open_laboratory(Conditions(), PROTOCOL, workers=cores()) as laboratory:
        label = kept_labels(
            chosen.kept / "labels", hand, laboratory.labeller,
            count=CANDIDATES, seed=SEED, physics=laboratory.facts,
        )  # fmt: skip
        labels = [label(case.truth) for case in cases]
    starts = [len(each) for each in np.array_split(np.arange(STARTS), len(cases))]
    results = {}
    for name in chosen.weights:
        field = GraspField.from_pretrained(name)
        given = zip(cases, labels, starts, strict=True)
        results[title(name)] = summary([measure(field, *each) for each in given])
        print(table(results), flush=True)
    record.write("field_cost", SEED, results, table(results))


def summary(parts: list[Figures]) -> dict[str, Any]:
    """Return the figures over all objects.

    Args:
        parts: Results of each object.
    """
    every = Figures.joined(parts)
    single = [
        area_under_curve(-each.energy, each.held)
        for each in parts
        if 0 < each.held.sum() < each.held.size
    ]
    return {
        "starts": len(every.far),
        "far": float(every.far.mean()),
        "half_turn": float(every.turn.max()),
        "half_turn_probability": float(every.turn_probability.max()),
        "new_points": float(every.redrawn.mean()),
        "area_pooled": area_under_curve(-every.energy, every.held),
        "area_single": float(np.mean(single)),
        "free_poses": len(every.unlikely),
        "unlikely": float(every.unlikely.mean()),
    }


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results in Markdown.

    Args:
        results: Result of `summary` by name of the weights.
    """
    titles = {
        "far": "descents that end far, %",
        "half_turn": "half turn: change of E over deviation",
        "half_turn_probability": "half turn: change of probability",
        "new_points": "new surface points: change of E over deviation",
        "area_pooled": "area, all objects together",
        "area_single": "area, mean of single objects",
        "unlikely": "free poses with probability below 0.02, %",
    }
    rows = [["figure", *results]]
    for key, text in titles.items():
        factor = 100 if text.endswith("%") else 1
        rows.append([text, *(f"{factor * found[key]:.3g}" for found in results.values())])
    return markdown_table(rows)


if __name__ == "__main__":
    main()
