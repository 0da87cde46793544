"""Make the shipped weights of the grasp field, from nothing: `make train-field`.

    python -m experiments.train_field --output runs/field [--recipe FILE] [--device cuda]

The stages are listed in `STAGES`. A stage that was killed continues, and a finished stage is
skipped. `stages.json` in the output folder records the recipe, and the digest of the results and
the time of each stage. The recipe `experiments/recipes/field.json` makes the shipped weights in
hours on two cores; `experiments/recipes/small.json` tests the pipeline in minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.household.catalogue import read_catalogue
from datasets.household.plans import SetOptions, plan_families, plan_pybullet
from datasets.jaws import write_jaws
from datasets.labels.folder import label_folder
from datasets.scans import write_scans
from experiments import calibrate_success, field_evaluation
from experiments.field_card import model_card
from experiments.field_evaluation import FROZEN, Options, judged
from experiments.record import machine
from grasp.field.objective import ENERGY, SUCCESS
from grasp.grippers.gripper import Gripper, load_gripper
from grasp.labelling.jobs import Settings
from grasp.physics import cores
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

RECIPE = Path(__file__).parent / "recipes" / "field.json"
JAWS, VIEWS = "jaws", "views"
RECORD = "stages.json"
WEIGHTS = "panda.safetensors"
"""Name of the file with the final weights in the output folder."""


@dataclass(frozen=True)
class Pipeline:
    """A recipe, the folder of its results, and the device of the training.

    Attributes:
        recipe: Content of the recipe file.
        output: Folder of all results.
        device: Device to train on.
    """

    recipe: dict[str, Any]
    output: Path
    device: str

    @property
    def seed(self) -> int:
        """Seed of everything but the sets of objects, which have their own seeds."""
        return int(self.recipe["seed"])

    def sets(self) -> list[Path]:
        """Return the folders of the sets of objects."""
        return [self.output / "sets" / name for name in self.recipe["sets"]]

    def hands(self, numbers: dict[str, int]) -> Iterator[tuple[Path, Gripper, list[str], int]]:
        """Yield each set with each gripper, the names of its objects, and the number of grasps.

        Every random jaw meets a share of the objects of one set; every other gripper meets all.

        Args:
            numbers: Number of grasps per object, by the name of the gripper or `JAWS`.
        """
        every = len(self.recipe["sets"])
        jaws = [load_gripper(path) for path in sorted((self.output / JAWS).glob("*.toml"))]
        for place, folder in enumerate(self.sets()):
            names = [entry.name for entry in read_catalogue(folder)]
            share = self.recipe["label_share"].get(folder.name, 1.0)
            for key, number in numbers.items():
                own = jaws[place::every] if key == JAWS else [load_gripper(key)]
                for turn, hand in enumerate(own):
                    yield folder, hand, names[turn :: len(own)], max(1, round(share * number))

    def train(self, network: str) -> Path:
        """Train a network on all labels that exist, and return the file of its best weights.

        Args:
            network: Name of the network.
        """
        folder = self.output / network
        program = ["-m", "grasp"]
        if self.device == "cpu" and cores() > 1:
            program = ["-m", "torch.distributed.run", "--nproc-per-node", str(cores()), *program]
        options = {"networks": network, "output": folder, "device": self.device, "seed": 0}
        options |= self.recipe[network]
        if self.device == "cpu":
            options["threads"] = 1
        arguments = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        start = ["train", *map(str, self.sets()), *arguments, "--resume"]
        if network == SUCCESS:
            start += [f"--initialize-from={self.output / ENERGY / 'best.safetensors'}"]
            # The surfaces of the objects take minutes to compute and do not depend on the network.
            kept = self.output / ENERGY / "objects"
            shutil.copytree(kept, folder / "objects", dirs_exist_ok=True)
        subprocess.run([sys.executable, *program, *start], check=True)
        return folder / "best.safetensors"


def objects(pipeline: Pipeline) -> Iterator[Path]:
    """Make the objects of all sets, and rough scans of some of them."""
    # Plan every set first: without a package that one of them needs, no time is lost.
    plans = []
    for options in pipeline.recipe["sets"].values():
        chosen = SetOptions(options["seed"], options["count"], options.get("scale"))
        pybullet = options.get("pybullet", False)
        plans.append(
            plan_pybullet(chosen) if pybullet else plan_families(chosen, options.get("families"))
        )
    for folder, plan in zip(pipeline.sets(), plans, strict=True):
        plan.write(folder)
        write_scans(folder, pipeline.seed, pipeline.recipe["scan_one_in"], cores())
        yield folder / "catalogue.json"
        yield from sorted((folder / "scans").glob("*.obj"))


def jaws(pipeline: Pipeline) -> Iterator[Path]:
    """Make random jaws."""
    yield from write_jaws(pipeline.output / JAWS, pipeline.recipe[JAWS], pipeline.seed)


def labels(pipeline: Pipeline) -> Iterator[Path]:
    """Label antipodal candidates, near misses and far misses, each under its own draw."""
    near, far = pipeline.recipe["near_misses"], pipeline.recipe["far_misses"]
    for folder, hand, names, count in pipeline.hands(pipeline.recipe["candidates"]):
        settings = Settings(hand, count, near, pipeline.seed, far_misses=far, uncertain=True)
        done = label_folder(folder, settings, names=names)
        print(f"{folder.name}, {hand.name}: {done.text()}", flush=True)
        yield from (done.output / f"{name}.h5" for name in done.card["by_object"])


def energy(pipeline: Pipeline) -> Iterator[Path]:
    """Train the energy network on the successful candidates."""
    yield pipeline.train(ENERGY)


def samples(pipeline: Pipeline) -> Iterator[Path]:
    """Label samples of the energy, from the whole objects and from single views."""
    weights = str(pipeline.output / ENERGY / "best.safetensors")
    numbers = dict(pipeline.recipe["samples"])
    noise = pipeline.recipe["sample_noise"]
    runs = [(numbers, False), ({"panda": numbers.pop(VIEWS)}, True)]
    for counts, view in runs:
        for folder, hand, names, count in pipeline.hands(counts):
            settings = Settings(
                hand, count, 0.0, pipeline.seed, weights, view, uncertain=True, noise=noise
            )
            done = label_folder(folder, settings, names=names)
            print(f"{folder.name}, {hand.name}: {done.text()}", flush=True)
            yield from (done.output / f"{name}.h5" for name in done.card["by_object"])


def success(pipeline: Pipeline) -> Iterator[Path]:
    """Train the success network on the candidates and on the samples."""
    yield pipeline.train(SUCCESS)


def calibration(pipeline: Pipeline) -> Iterator[Path]:
    """Calibrate the probabilities of success on validation objects, and write the final weights."""
    weights = pipeline.output / SUCCESS / "best.safetensors"
    output = pipeline.output / WEIGHTS
    found = calibrate_success.calibrate(weights, output, pipeline.sets(), pipeline.seed)
    record = pipeline.output / "calibration.json"
    record.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(calibrate_success.table(found))
    yield from (output, record)


def evaluation(pipeline: Pipeline) -> Iterator[Path]:
    """Measure the final weights on objects and grippers of unseen seeds, beside those of 0.1."""
    settings = pipeline.recipe["evaluation"]
    sets = pipeline.output / "frozen"
    needed = {FROZEN.get(row, "made") for row in settings["rows"] if row != "vessels"}
    if needed:
        program = [sys.executable, "-m", "datasets.frozen", "--no-sheet", "--output", str(sets)]
        subprocess.run([*program, *sorted(needed)], check=True)
    options = Options(
        sets, pipeline.output / "labels", None,
        settings["grasps"], settings["candidates"], settings["vessels"],
    )  # fmt: skip
    found = {
        row: {
            name: judged(row, str(weights), options)
            for name, weights in (
                ("final", pipeline.output / WEIGHTS),
                ("panda-0.1", "panda-0.1"),
            )
        }
        for row in settings["rows"]
    }
    path = pipeline.output / "evaluation.json"
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(field_evaluation.table(found, settings["grasps"]))
    yield path


def card(pipeline: Pipeline) -> Iterator[Path]:
    """Write the model card."""
    record = json.loads((pipeline.output / RECORD).read_text("utf-8"))
    path = (pipeline.output / WEIGHTS).with_suffix(".md")
    path.write_text(model_card(pipeline.output, record, machine()), "utf-8")
    yield path


STAGES: tuple[Callable[[Pipeline], Iterator[Path]], ...] = (
    objects, jaws, labels, energy, samples, success, calibration, evaluation, card,
)  # fmt: skip
"""The stages in their order. Each yields the files that it made."""


def run(pipeline: Pipeline) -> dict[str, Any]:
    """Run all stages that are not finished, and return the record of all stages.

    Args:
        pipeline: The recipe and the folder of the results.

    Raises:
        InputError: If the output folder holds the results of another recipe.
    """
    pipeline.output.mkdir(parents=True, exist_ok=True)
    path = pipeline.output / RECORD
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if kept and kept["recipe"] != pipeline.recipe:
        raise InputError(f"{pipeline.output} holds the results of another recipe: use another one")
    kept.setdefault("recipe", pipeline.recipe)
    kept.setdefault("stages", {})
    for stage in STAGES:
        name = stage.__name__
        if name in kept["stages"]:
            print(f"{name}: done before, SHA-256 {kept['stages'][name]['sha256'][:12]}")
            continue
        print(f"{name}: {(stage.__doc__ or '').strip()}", flush=True)
        begin = time.monotonic()
        digest = hashlib.sha256()
        for made in stage(pipeline):
            content = hashlib.sha256(made.read_bytes()).hexdigest()
            digest.update(f"{made.relative_to(pipeline.output)} {content}\n".encode())
        seconds = round(time.monotonic() - begin)
        kept["stages"][name] = {"sha256": digest.hexdigest(), "seconds": seconds}
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        print(f"{name}: {seconds} s, SHA-256 {digest.hexdigest()[:12]}", flush=True)
    return kept


def main() -> None:
    """Run the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/field"))
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    recipe = json.loads(chosen.recipe.read_text("utf-8"))
    run(Pipeline(recipe, chosen.output, chosen.device))


if __name__ == "__main__":
    main()
