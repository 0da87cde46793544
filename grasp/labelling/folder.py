"""Label objects in a folder: keep existing labels and add the missing labels.

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
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grasp.field.items import CANDIDATES, DESCRIPTION, SAMPLES
from grasp.formats import Grasps, read_grasps, write_grasps
from grasp.grippers.gripper import gripper_text
from grasp.labelling.card import ObjectLabels, write_card
from grasp.labelling.jobs import Job, Settings, digest
from grasp.labelling.meshes import file_name
from grasp.labelling.targets import Target, check_content
from grasp.objects.loading import load_object
from grasp.physics import Conditions, protocol_named
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


Run = Callable[[Iterable[Job]], Iterator[tuple[Job, Grasps | str]]]
"""A function that labels objects and yields each with its labels, or with a sentence about the
error, such as `functools.partial(grasp.labelling.processes.on_cores, attempt)`."""


def label_targets(
    folder: Path,
    targets: Sequence[Target],
    settings: Settings,
    assumed: Assumptions,
    run: Run,
    program: str,
    advance: Callable[[], None] = lambda: None,
) -> LabellingResult:
    """Label every unlabelled object of a list, and write the data card.

    Only one process at a time may label a folder for a gripper. A script that calls this function
    needs the guard `if __name__ == "__main__":`, because the function spawns processes.

    Args:
        folder: Folder of the objects.
        targets: Objects in the folder.
        settings: Gripper, candidates and seed.
        assumed: Assumptions about the meshes.
        run: Function that labels objects.
        program: Beginning of the command that the data card states.
        advance: Function that is called after each object.

    Raises:
        InputError: If existing labels were made under different conditions, a file is damaged, a
            process died, or a file cannot be written.
    """
    begin = time.monotonic()
    protocol = protocol_named(settings.protocol)
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
    for job, result in run(jobs()):
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
    card = write_card(output, settings, assumed.as_dict(), labels, sentences, program)
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
