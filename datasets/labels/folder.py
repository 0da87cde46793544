"""Label a folder of objects: keep existing labels and add the missing labels.

```
FOLDER/grasps/GRIPPER/NAME.h5        labels of one object, in ACRONYM's schema
FOLDER/grasps/GRIPPER/gripper.toml   description of the gripper
FOLDER/grasps/GRIPPER/README.md      data card
FOLDER/grasps/GRIPPER/card.json      data card for programs
```

Labels of samples from a grasp field are in FOLDER/samples/WEIGHTS instead of FOLDER/grasps. WEIGHTS
is the first 12 digits of the SHA-256 of the weights. If the field saw only one side of each object,
the labels are in FOLDER/samples/WEIGHTS-view.

A label file names its mesh relative to FOLDER, so the folder can be moved. One process writes each
file in one step. So a run that is killed loses only the unfinished objects, and the next run
continues with these objects.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets.household.catalogue import CATALOGUE
from datasets.household.meshes import file_name
from datasets.labels.card import ObjectLabels, write_card
from datasets.labels.cluster import on_cluster
from datasets.labels.labelling import Job, Settings, attempt, digest
from datasets.labels.processes import on_cores
from datasets.labels.targets import Target, check_content, targets_in
from grasp.field.items import CANDIDATES, DESCRIPTION, SAMPLES
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import gripper_text
from grasp.objects.loading import load_object
from grasp.physics import Conditions, cores, protocol_named
from grasp.physics.workers import check_workers
from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder


@dataclass(frozen=True)
class Assumptions:
    """Assumptions about meshes that no catalogue describes.

    Attributes:
        scale: Metres per unit of the meshes; 1 if None.
        density: Density of the objects in kg/m³; the protocol's density if None.
        friction: Coefficient of friction between object and pads; the protocol's friction if None.

    Raises:
        InputError: If a number is out of its range.
    """

    scale: float | None = None
    density: float | None = None
    friction: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < math.inf:
            raise InputError(f"the scale must be a finite number above 0, got {self.scale}")
        Conditions(density=self.density, friction=self.friction)  # refuses numbers out of range

    def as_dict(self) -> dict[str, float | None]:
        """The assumptions as a dictionary, with None for every missing assumption."""
        return dataclasses.asdict(self)


NO_ASSUMPTIONS = Assumptions()
"""No assumptions: required for a folder with a catalogue, and the default for other folders."""


@dataclass(frozen=True)
class LabellingResult:
    """The outcome of labelling a folder.

    Attributes:
        output: Folder of the labels.
        made: Number of objects that this run labelled.
        kept: Number of objects that already had labels.
        grasps: Number of grasps that this run labelled.
        seconds: Duration of the run in seconds.
        skipped: One sentence for each object that cannot be labelled.
        card: Content of `card.json`.
    """

    output: Path
    made: int
    kept: int
    grasps: int
    seconds: float
    skipped: tuple[str, ...]
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The result as a dictionary for JSON."""
        return dataclasses.asdict(self) | {"output": str(self.output)}

    def text(self) -> str:
        """The result as human-readable text."""
        card = self.card
        lines = [
            f"labelled {self.grasps} grasps of {self.made} objects in {self.seconds:.0f} s"
            + (f"; {self.kept} objects already had labels" if self.kept else "")
        ]
        if card["grasps"]:
            low, high = (100 * end for end in card["success_rate_interval"])
            lines.append(
                f"{card['successes']} of all {card['grasps']} grasps succeed: "
                f"{100 * card['success_rate']:.1f} %, 95 % interval {low:.1f} to {high:.1f} %"
            )
        return "\n".join([*lines, f"the data card is in {self.output}"])


def label_folder(
    folder: str | os.PathLike[str],
    settings: Settings,
    assumed: Assumptions = NO_ASSUMPTIONS,
    *,
    names: Collection[str] | None = None,
    workers: int = 0,
    cluster: str | None = None,
    advance: Callable[[], None] = lambda: None,
) -> LabellingResult:
    """Label every unlabelled object in a folder, and write the data card.

    Only one process at a time may label a folder for a gripper. A script that calls `label_folder`
    needs the guard `if __name__ == "__main__":`, because the function spawns processes.

    Args:
        folder: Set with a catalogue of masses and frictions, or any folder of meshes.
        settings: Gripper, candidates and seed.
        assumed: Assumptions about the meshes of a folder without a catalogue.
        names: Names of the objects to label; None labels all objects.
        workers: Number of processes; 0 uses one process per core.
        cluster: Address of a Ray cluster for `datasets.labels.cluster.on_cluster`; None uses
            processes on this machine without Ray.
        advance: Function that is called after each object.

    Raises:
        InputError: If a number is out of range, the folder has no objects, existing labels were
            made under different conditions, the folder has a catalogue but `assumed` is not empty,
            a file is damaged, a process died, or a file cannot be written.
    """
    begin = time.monotonic()
    folder = Path(folder)
    check_workers(workers or cores())
    protocol = protocol_named(settings.protocol)
    targets = targets_in(folder, assumed.friction, protocol)
    if names is not None:
        targets = [each for each in targets if each.name in names]
    if (folder / CATALOGUE).exists() and assumed != NO_ASSUMPTIONS:
        raise InputError(
            f"{folder} has a catalogue, which states scale, mass and friction: the options scale, "
            "density and friction must not be set"
        )
    output = folder / _place(settings) / file_name(settings.gripper.name)
    prepare_folder(output)
    skipped: dict[str, str] = {}

    def job_for(target: Target) -> Job | None:
        check_content(folder, target)
        try:
            obj = load_object(folder / target.file, assumed.scale or 1.0)
        except InputError as error:
            skipped[target.name] = f"{target.name}: {error}"
            return None
        density = protocol.density if assumed.density is None else assumed.density
        return Job(
            name=target.name,
            obj=dataclasses.replace(obj, file=target.file),
            mass=target.mass,
            density=density if target.mass is None else None,
            friction=target.friction,
            settings=settings,
        )

    # Before any labelling, compare existing labels with the jobs: a difference stops the run here.
    missing = []
    for target in targets:
        path = output / f"{target.name}.h5"
        if not path.exists():
            missing.append(target)
            continue
        job = job_for(target)
        if job is not None and (other := difference(read_grasps(path), job)):
            raise InputError(
                f"{path} was made under different conditions: {other}; repeat the original "
                f"command, or move {output} to another place"
            )
        advance()

    with atomic_write(output / DESCRIPTION) as temporary:
        temporary.write_text(gripper_text(settings.gripper), encoding="utf-8")

    def jobs() -> Iterator[Job]:
        for target in missing:
            job = job_for(target)
            if job is None:
                advance()
            else:
                yield job

    made = grasps = 0
    if cluster is None:
        results = on_cores(attempt, jobs(), workers)
    else:
        results = on_cluster(attempt, jobs(), cluster, workers)
    for job, result in results:
        if isinstance(result, str):
            skipped[job.name] = result
        elif other := difference(result, job):
            raise InputError(
                f"another machine labelled {job.name} under different conditions: {other}"
            )
        else:
            write_grasps(output / f"{job.name}.h5", result)
            made, grasps = made + 1, grasps + len(result)
        advance()
    sentences = tuple(skipped[each.name] for each in targets if each.name in skipped)
    labels = [
        ObjectLabels(each.name, each.family, each.licence, read_grasps(output / f"{each.name}.h5"))
        for each in targets
        if each.name not in skipped
    ]
    card = write_card(output, settings, assumed.as_dict(), labels, sentences)
    seconds = round(time.monotonic() - begin, 3)
    kept = len(targets) - len(missing)
    return LabellingResult(output, made, kept, grasps, seconds, sentences, card)


def _place(settings: Settings) -> Path:
    """Path of the labels relative to the folder of objects, without the name of the gripper."""
    if settings.weights is None:
        return Path(CANDIDATES)
    return Path(SAMPLES, digest(settings.weights)[:12] + ("-view" if settings.view else ""))


def difference(found: Grasps, job: Job) -> str | None:
    """Describe the first condition that differs between labels and a job; None if all agree.

    Args:
        found: Labels to check.
        job: Job that would make the labels.
    """
    sampler = found.sampler or {}
    conditions = job.conditions()
    expected = {
        "gripper": job.settings.gripper.name,
        "object_file": job.obj.file,
        "object_scale": job.obj.scale,
        "object_sha256": job.obj.sha256,
        "protocol": job.settings.protocol,
        **conditions,
    }
    for name, value in expected.items():
        there = sampler.get(name) if name in conditions else getattr(found, name)
        if there != value:
            return f"{name} must be {value}, got {there}"
    return None
