"""Run an evaluation that a request describes, as `grasp evaluate` does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grasp.formats import Grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.benchmark import Case
from grasp.judging.evaluation import Budget, evaluate
from grasp.judging.labels import label_candidates
from grasp.judging.laboratory import Laboratory
from grasp.judging.report import Report
from grasp.judging.sources import ANTIPODAL, field_source, kept_labels, named_source
from grasp.judging.trials import check_mesh
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Protocol, protocol_named
from pcdiff.errors import InputError


@dataclass(frozen=True)
class EvaluationRequest:
    """The grasps to judge, and the conditions under which they are judged.

    Attributes:
        gripper: Name of a shipped gripper, or path of a .toml file.
        source: Name of the source; see `grasp.judging.sources.named_source`. If `source` and
            `weights` are both None, the antipodal baseline is judged.
        weights: Name or file of the weights of the grasp field to judge.
        view: True to show the field only one side of each object, with a depth camera's noise;
            False to show the whole object.
        budget: Size and seed of the evaluation.
        protocol: Version of the physics protocol; see `grasp.physics.PROTOCOLS`.
        density: Density of the objects in kg/m³. None means the protocol's density.
        friction: Coefficient of friction between object and pads. None means the protocol's
            coefficient.
        labels: Folder of labelled candidates. Existing labels are reused, and missing labels are
            created.
        frame: Frame of the poses in grasp files that do not state the frame.
        unit: Unit of the poses in grasp files that do not state the unit.
        device: Device for sampling a grasp field; physics always runs on the CPU.

    Raises:
        InputError: If both `source` and `weights` are set, `view` is True without `weights`, or a
            frame or a unit is set for a field.
    """

    gripper: str = "panda"
    source: str | None = None
    weights: str | None = None
    view: bool = False
    budget: Budget = field(default_factory=Budget)
    protocol: str = PROTOCOL.version
    density: float | None = None
    friction: float | None = None
    labels: Path | None = None
    frame: str | None = None
    unit: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.view and self.weights is None:
            raise InputError(
                "a view from one side applies to grasp fields only: name the weights of a field",
                parameter="view",
            )
        if self.source is not None and self.weights is not None:
            raise InputError(
                f"the source {self.source} and the weights {self.weights} are two sources of "
                "grasps: name one of them",
                parameter="source",
            )
        if self.weights is not None and (self.frame is not None or self.unit is not None):
            raise InputError(
                "a frame or a unit of grasps applies to grasp files only, but the source is the "
                f"field {self.weights}",
                parameter="pose_unit_and_frame",
            )

    @property
    def conditions(self) -> Conditions:
        """Density and friction of the objects, as the protocol states them where they are None."""
        return Conditions(density=self.density, friction=self.friction).under(self.settings)

    @property
    def settings(self) -> Protocol:
        """The protocol of the trials."""
        return protocol_named(self.protocol)


def run_evaluation(
    objects: Sequence[Object | Case], request: EvaluationRequest, laboratory: Laboratory
) -> Report:
    """Judge a source of grasps on objects.

    Args:
        objects: Meshes of the objects to grasp, or cases of a benchmark set.
        request: Description of the evaluation.
        laboratory: Physics under the conditions and the protocol of the request.

    Raises:
        InputError: If an object is a point cloud, or in the cases listed for
            `grasp.judging.evaluation.evaluate`.
    """
    for each in objects:
        check_mesh(each if isinstance(each, Object) else each.truth)
    hand = load_gripper(request.gripper)
    if request.weights is None:
        name = request.source or ANTIPODAL
        seen = [each if isinstance(each, Object) else each.seen for each in objects]
        source = named_source(name, seen, hand, frame=request.frame, unit=request.unit)
    else:
        from grasp.field.trained import GraspField

        name = f"field {request.weights}" + (" from one view" if request.view else "")
        field = GraspField.from_pretrained(request.weights).to(request.device)
        source = field_source(field, hand, view=request.view)
    budget = request.budget
    if request.labels is None:
        labels: Callable[[Object], Grasps] = functools.partial(
            label_candidates,
            gripper=hand,
            simulator=laboratory.labeller,
            count=budget.candidates,
            seed=budget.seed,
        )
    else:
        labels = kept_labels(
            request.labels,
            hand,
            laboratory.labeller,
            count=budget.candidates,
            seed=budget.seed,
            physics=laboratory.facts,
        )
    judge = laboratory.judge(labels)
    return evaluate(source, objects, hand, judge, name=name, budget=budget)
