"""Count the grasps that a field offers for flat and lying things on a table.

    python -m experiments.field_table [--weights NAME...]

The objects are synthetic household things of an unseen seed, in the poses in which they come to
rest on a table, and lower than 4 cm there. A field is asked for 100 grasps with the table as its
scene. A grasp counts if the open hand meets neither the table nor the object; it counts as holding
by its robust success. The table is not part of the physics.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from datasets.frozen.resting import resting_poses
from datasets.household import make
from experiments import record
from experiments.field_evaluation import SHIPPED, title
from grasp.field.trained import GraspField
from grasp.grippers.gripper import load_gripper
from grasp.judging.proportions import cluster_bootstrap
from grasp.objects.object import Object
from grasp.physics import Conditions, cores, processes, simulate_robust
from grasp.poses.frames import inverse
from grasp.scenes.scene import Scene
from pcdiff.randomness import seeded
from pcdiff.tables import markdown_table

SEED, OBJECTS_SEED, GRASPS, LOW = 0, 71_003, 100, 0.04
FAMILIES = (
    "brush", "hammer", "knife", "l_shape", "pan", "plate", "scissors", "screwdriver", "slab",
    "spatula", "spectacles", "spoon", "torch", "t_shape", "wrench",
)  # fmt: skip
EACH = 2
"""Objects per family."""


def cases() -> Iterator[tuple[Object, float, Scene]]:
    """Yield objects with their masses, in their likeliest pose on a table, if they lie low."""
    for family in FAMILIES:
        for index in range(EACH):
            made = make(family, OBJECTS_SEED, index)
            obj = Object.from_mesh(made.vertices, made.faces, name=made.name, parts=made.parts)
            (rest,) = resting_poses(obj, 1)
            heights = obj.vertices @ rest.T_table_object[2, :3] + rest.T_table_object[2, 3]
            if heights.max() < LOW:
                table = inverse(rest.T_table_object)
                yield obj, made.mass, Scene(T_world_table=table)


def main() -> None:
    """Count the grasps of every field, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", nargs="+", default=SHIPPED)
    chosen = parser.parse_args()
    hand = load_gripper("panda")
    fields = {name: GraspField.from_pretrained(name) for name in chosen.weights}
    found: dict[str, dict[str, tuple[int, float]]] = {title(name): {} for name in fields}
    with processes(cores()) as pool:
        for obj, mass, scene in cases():
            for name, field in fields.items():
                conditioned = field.condition(obj, hand, SEED)
                sampled = conditioned.sample(GRASPS, seeded(SEED), scene=scene)
                free = sampled.poses[~np.asarray(sampled.in_collision)]
                held = 0.0
                if len(free):
                    trials = simulate_robust(obj, hand, free, Conditions(mass=mass), pool=pool)
                    held = float(trials.success.sum())
                found[title(name)][obj.name] = (len(free), held)
            print(obj.name, {name: each[obj.name] for name, each in found.items()}, flush=True)
    record.write("field_table", SEED, found, table(found))


def table(found: dict[str, dict[str, tuple[int, float]]]) -> str:
    """Return the results in Markdown.

    Args:
        found: For each weights and object, the number of free grasps, and of those that hold.
    """
    rows = [["weights", "objects", "free grasps of 100", "free grasps that hold, of 100"]]
    for name, by_object in found.items():
        numbers = np.array(list(by_object.values()), float)
        cells = []
        for column in numbers.T:
            rng = np.random.default_rng(SEED)
            mean, low, high = cluster_bootstrap(list(column[:, None]), rng)
            cells.append(f"{mean:.1f} [{low:.1f}, {high:.1f}]")
        rows.append([name, str(len(by_object)), *cells])
    objects = [["object", *found]]
    for each in next(iter(found.values())):
        numbers_of = [by_object[each] for by_object in found.values()]
        objects += [[each, *(f"{free} free, {held:.1f} hold" for free, held in numbers_of)]]
    return f"{markdown_table(rows)}\n\n{markdown_table(objects)}"


if __name__ == "__main__":
    main()
