"""Judge any source of grasps by physics, as `grasp evaluate` does.

The source returns grasps for each object, and every grasp is tried in physics. No grasp is rejected
or drawn again, and a grasp in collision counts as a failure. Antipodal candidates are tried in the
same physics. They tell, independently of the source, how an object can be grasped. Successful
candidates are called *positives*; a source should cover them. An object *fits* the gripper if it
has enough positives.

A source can see something else than physics: one side of the object, or a rough scan of it. Then
the objects to judge are cases of a benchmark set (`grasp.judging.benchmark`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.benchmark import Case
from grasp.judging.coverage import coverage, earth_movers_distance, precision_coverage_curve
from grasp.judging.labels import Simulator, label_candidates
from grasp.judging.measures import Measure
from grasp.judging.proportions import FITS_CANDIDATES, Estimate, cluster_bootstrap, fits
from grasp.judging.report import MOST_PAIRS, Judgement, Report, Stamp, figures_of
from grasp.judging.streams import Stream, object_generator
from grasp.objects.object import Object
from pcdiff.errors import InputError

Source = Callable[[Object, int, np.random.Generator], Grasps]
"""A function that returns grasps of an object, best ranked first.

The function takes the object, the largest number of grasps, and a random generator.
"""

MOST = 10**6
"""Largest accepted number of samples or candidates of an object."""

MEASURED = ("protocol", "friction")
"""Conditions that the report takes from the trials. The caller must not state these conditions."""


@dataclass(frozen=True)
class Budget:
    """Size and seed of an evaluation.

    Attributes:
        samples: Number of grasps requested from the source for each object, at least 1.
        candidates: Number of antipodal candidates of each object, at least 1.
        seed: Seed of all random draws, at least 0.

    Raises:
        InputError: If a number is below its minimum.
    """

    samples: int = 1000
    candidates: int = FITS_CANDIDATES
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "candidates"):
            if getattr(self, name) > MOST:
                raise InputError(f"{name} must be at most {MOST}, got {getattr(self, name)}")
        if self.samples < 1 or self.candidates < 1 or self.seed < 0:
            raise InputError(
                "an evaluation needs at least 1 sample, at least 1 candidate and a seed of at "
                f"least 0, got {self.samples} samples, {self.candidates} candidates and seed "
                f"{self.seed}"
            )


@dataclass(frozen=True)
class Judge:
    """What judges the grasps of a source.

    Attributes:
        simulator: Physics that tries candidates and grasps, e.g. `grasp.physics.simulate`.
        measures: Further measures of every grasp; see `grasp.judging.measures`.
        physics: Further facts about the simulator for the report, e.g. the density. The report
            takes the protocol and the friction from the trials.
        labels: Function that returns an object's candidates with their `success`, e.g. from a file.
            None means `label_candidates` with the simulator.

    Raises:
        InputError: If `physics` states the protocol or the friction.
    """

    simulator: Simulator
    measures: Sequence[Measure] = ()
    physics: Mapping[str, Any] = field(default_factory=dict)
    labels: Callable[[Object], Grasps] | None = None

    def __post_init__(self) -> None:
        if stated := [quantity for quantity in MEASURED if quantity in self.physics]:
            raise InputError(
                f"physics must not state {' and '.join(stated)}, because the report takes protocol "
                "and friction from the trials"
            )


def evaluate(
    source: Source,
    objects: Sequence[Object | Case],
    gripper: Gripper,
    judge: Judge,
    *,
    name: str,
    budget: Budget | None = None,
) -> Report:
    """Judge a source of grasps by physics.

    The random draws for an object depend only on the seed and on the object's geometry, not on the
    other objects.

    Args:
        source: Source of the grasps. It gets what is seen of a case.
        objects: Objects to grasp, or cases of a benchmark set; at least one.
        gripper: The gripper.
        judge: Physics that tries candidates and grasps.
        name: Name of the source in the report.
        budget: Size and seed of the evaluation; `Budget()` if None.

    Raises:
        InputError: If there are no objects; two objects that are not cases have the same geometry;
            the source returns grasps for another gripper, or more grasps than requested; or the
            candidates have no labels, or their protocol or friction differs from the protocol or
            friction of the trials.
    """
    budget = budget or Budget()
    if not objects:
        raise InputError("an evaluation needs at least 1 object, got 0 objects")
    _check_distinct([each for each in objects if isinstance(each, Object)])
    judgements = []
    labelled: dict[str, Grasps] = {}
    for each in objects:
        case = Case(each.name, each.name, each, each) if isinstance(each, Object) else each
        truth = case.truth
        if truth.sha256 not in labelled:
            labelled[truth.sha256] = (
                label_candidates(
                    truth, gripper, judge.simulator, count=budget.candidates, seed=budget.seed
                )
                if judge.labels is None
                else judge.labels(truth)
            )
        rng = object_generator(budget.seed, Stream.SOURCE, case.seen)
        begin = time.process_time()
        grasps = source(case.seen, budget.samples, rng)
        spent = time.process_time() - begin
        judgements.append(
            _judge(case, gripper, judge, grasps, labelled[truth.sha256], budget, spent)
        )
    stamp = Stamp(
        gripper=gripper.name,
        source=name,
        samples=budget.samples,
        candidates=budget.candidates,
        seed=budget.seed,
        physics=_measured(judgements) | dict(judge.physics),
    )
    overall = _overall(judgements, judge.measures, budget.seed)
    return Report(tuple(judgements), overall, stamp, tuple(judge.measures))


def _check_distinct(objects: Sequence[Object]) -> None:
    names: dict[str, str] = {}
    for obj in objects:
        if obj.sha256 in names:
            raise InputError(
                f"{obj.file or obj.name} has the same geometry as {names[obj.sha256]}, expected "
                "each object only once"
            )
        names[obj.sha256] = obj.file or obj.name


def _judge(
    case: Case,
    gripper: Gripper,
    judge: Judge,
    grasps: Grasps,
    labelled: Grasps,
    budget: Budget,
    cpu_seconds: float,
) -> Judgement:
    """Judge the source's grasps of one case against the labelled candidates of its object."""
    obj = case.truth
    if grasps.gripper not in (None, gripper.name):
        raise InputError(
            f"the grasps of {obj.name} must be for the gripper {gripper.name}, got grasps for "
            f"{grasps.gripper}"
        )
    if len(grasps) > budget.samples:
        raise InputError(
            f"the source gave {len(grasps)} grasps of {obj.name}, expected at most {budget.samples}"
        )
    if labelled.success is None:
        raise InputError(
            f"the candidates of {obj.name} must be labelled, got candidates without success labels"
        )
    positives = labelled.poses[labelled.success]
    protocol, friction, warning = labelled.protocol, labelled.friction, None
    success, failures = np.zeros(0, bool), {}
    measured: dict[str, np.ndarray] = {}
    curve = covered_at_base = distance = None
    pairs = min(len(grasps), len(positives), MOST_PAIRS)
    if len(grasps):
        trials = judge.simulator(obj, gripper, grasps.poses)
        for quantity in MEASURED:
            before, now = getattr(labelled, quantity), getattr(trials, quantity)
            if before not in (None, now):
                raise InputError(
                    f"the candidates of {obj.name} were tried with {quantity} {before}, but the "
                    f"grasps were tried with {quantity} {now}"
                )
        protocol, friction = trials.protocol, trials.friction
        success = trials.success
        warning = trials.warning
        reasons, counts = np.unique(trials.failure[~success], return_counts=True)
        failures = dict(zip(reasons.tolist(), counts.tolist(), strict=True))
        for measure in judge.measures:
            values = measure.of(case, gripper, grasps.poses, trials)
            if values is not None:
                measured[measure.name] = values
    if pairs:
        curve = precision_coverage_curve(
            gripper.tool_poses(grasps.poses), success, gripper.tool_poses(positives)
        )
        covered_at_base = coverage(grasps.poses, positives)
        rng = object_generator(budget.seed, Stream.MATCHING, obj)
        distance = earth_movers_distance(
            grasps.poses[rng.choice(len(grasps), pairs, replace=False)],
            positives[rng.choice(len(positives), pairs, replace=False)],
        )
    return Judgement(
        name=case.name,
        group=case.group,
        sha256=obj.sha256,
        candidates=len(labelled),
        positives=len(positives),
        fits=fits(labelled.success),
        poses=grasps.poses,
        success=success,
        probability=grasps.success_probability,
        failures=failures,
        measured=measured,
        cpu_seconds=cpu_seconds,
        curve=curve,
        covered_at_base=covered_at_base,
        distance=distance,
        pairs=pairs,
        warning=warning,
        reason=grasps.reason,
        protocol=protocol,
        friction=friction,
    )


def _measured(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Collect the protocol and the friction of the trials; unequal values become a sorted list."""
    found: dict[str, Any] = {}
    for quantity in MEASURED:
        every = {getattr(each, quantity) for each in judgements} - {None}
        if every:
            found[quantity] = every.pop() if len(every) == 1 else sorted(every)
    return found


def _overall(
    judgements: Sequence[Judgement], measures: Sequence[Measure], seed: int
) -> dict[str, Estimate | float]:
    """Compute the mean of each figure over the fitting objects that have this figure."""
    overall: dict[str, Estimate | float] = {}
    fitting = [(each.group, each.figures(measures)) for each in judgements if each.fits]
    for key in figures_of(measures):
        groups: dict[str, list[float]] = {}
        for group, figures in fitting:
            if (value := figures.get(key)) is not None:
                groups.setdefault(group, []).append(value)
        values = [np.array(each) for each in groups.values()]
        if len(values) == 1:
            overall[key] = float(values[0].mean())
        elif values:
            # All figures and all sources use the same draws of objects.
            rng = np.random.default_rng([seed, int(Stream.BOOTSTRAP)])
            overall[key] = cluster_bootstrap(values, rng)
    return overall
