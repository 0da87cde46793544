"""Judge any source of grasps by physics, as `grasp evaluate` does.

The source returns grasps for each object, and every grasp is tried in physics. No grasp is rejected
or drawn again, and a grasp in collision counts as a failure. Antipodal candidates are tried in the
same physics. They tell, independently of the source, how an object can be grasped. Successful
candidates are called *positives*; a source should cover them. An object *fits* the gripper if it
has enough positives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.coverage import coverage, earth_movers_distance, precision_coverage_curve
from grasp.judging.labels import Simulator, label_candidates
from grasp.judging.proportions import FITS_CANDIDATES, Estimate, cluster_bootstrap, fits
from grasp.judging.report import FIGURES, MOST_PAIRS, Judgement, Report, Stamp
from grasp.judging.streams import Stream, object_generator
from grasp.objects.object import Object
from pcdiff.errors import InputError

Source = Callable[[Object, int, np.random.Generator], Grasps]
"""A function that returns grasps of an object, best ranked first.

The function takes the object, the largest number of grasps, and a random generator.
"""

# Conditions that the report takes from the trials. The caller must not state these conditions.
_MEASURED = ("protocol", "friction")


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
        if self.samples < 1 or self.candidates < 1 or self.seed < 0:
            raise InputError(
                "an evaluation needs at least 1 sample, at least 1 candidate and a seed of at "
                f"least 0, got {self.samples} samples, {self.candidates} candidates and seed "
                f"{self.seed}"
            )


def evaluate(
    source: Source,
    objects: Sequence[Object],
    gripper: Gripper,
    simulator: Simulator,
    *,
    name: str,
    budget: Budget | None = None,
    physics: Mapping[str, Any] | None = None,
    labels: Callable[[Object], Grasps] | None = None,
) -> Report:
    """Judge a source of grasps by physics.

    The random draws for an object depend only on the seed and on the object's geometry, not on the
    other objects.

    Args:
        source: Source of the grasps.
        objects: Objects to grasp, at least one.
        gripper: The gripper.
        simulator: Physics that tries candidates and grasps, e.g. `grasp.physics.simulate`.
        name: Name of the source in the report.
        budget: Size and seed of the evaluation; `Budget()` if None.
        physics: Further facts about the simulator for the report, e.g. the density. The report
            takes the protocol and the friction from the trials.
        labels: Function that returns an object's candidates with their `success`, e.g. from a file.
            None means `label_candidates`.

    Raises:
        InputError: If there are no objects; two objects have the same geometry; `physics` states
            the protocol or the friction; the source returns grasps for another gripper, or more
            grasps than requested; or the candidates have no labels, or their protocol or friction
            differs from the protocol or friction of the trials.
    """
    budget = budget or Budget()
    if not objects:
        raise InputError("an evaluation needs at least 1 object, got 0 objects")
    names: dict[str, str] = {}
    for obj in objects:
        if obj.sha256 in names:
            raise InputError(
                f"{obj.file or obj.name} has the same geometry as {names[obj.sha256]}, expected "
                "each object only once"
            )
        names[obj.sha256] = obj.file or obj.name
    physics = dict(physics or {})
    if stated := [quantity for quantity in _MEASURED if quantity in physics]:
        raise InputError(
            f"physics must not state {' and '.join(stated)}, because the report takes protocol and "
            "friction from the trials"
        )
    judgements = []
    for obj in objects:
        if labels is None:
            labelled = label_candidates(
                obj, gripper, simulator, count=budget.candidates, seed=budget.seed
            )
        else:
            labelled = labels(obj)
        rng = object_generator(budget.seed, Stream.SOURCE, obj)
        grasps = source(obj, budget.samples, rng)
        judgements.append(_judge(obj, gripper, simulator, grasps, labelled, budget))
    stamp = Stamp(
        gripper=gripper.name,
        source=name,
        samples=budget.samples,
        candidates=budget.candidates,
        seed=budget.seed,
        physics=_measured(judgements) | physics,
    )
    return Report(tuple(judgements), _overall(judgements, budget.seed), stamp)


def _judge(
    obj: Object,
    gripper: Gripper,
    simulator: Simulator,
    grasps: Grasps,
    labelled: Grasps,
    budget: Budget,
) -> Judgement:
    """Judge the source's grasps of one object against its labelled candidates."""
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
    protocol, friction = labelled.protocol, labelled.friction
    success, failures = np.zeros(0, bool), {}
    curve = covered_at_base = distance = None
    pairs = min(len(grasps), len(positives), MOST_PAIRS)
    if len(grasps):
        trials = simulator(obj, gripper, grasps.poses)
        for quantity in _MEASURED:
            before, now = getattr(labelled, quantity), getattr(trials, quantity)
            if before not in (None, now):
                raise InputError(
                    f"the candidates of {obj.name} were tried with {quantity} {before}, but the "
                    f"grasps were tried with {quantity} {now}"
                )
        protocol, friction = trials.protocol, trials.friction
        success = trials.success
        reasons, counts = np.unique(trials.failure[~success], return_counts=True)
        failures = dict(zip(reasons.tolist(), counts.tolist(), strict=True))
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
        name=obj.name,
        sha256=obj.sha256,
        candidates=len(labelled),
        positives=len(positives),
        fits=fits(labelled.success),
        success=success,
        probability=grasps.success_probability,
        failures=failures,
        curve=curve,
        covered_at_base=covered_at_base,
        distance=distance,
        pairs=pairs,
        reason=grasps.reason,
        protocol=protocol,
        friction=friction,
    )


def _measured(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """Collect the protocol and the friction of the trials; unequal values become a sorted list."""
    found: dict[str, Any] = {}
    for quantity in _MEASURED:
        every = {getattr(each, quantity) for each in judgements} - {None}
        if every:
            found[quantity] = every.pop() if len(every) == 1 else sorted(every)
    return found


def _overall(judgements: Sequence[Judgement], seed: int) -> dict[str, Estimate | float]:
    """Compute the mean of each figure over the fitting objects that have this figure."""
    overall: dict[str, Estimate | float] = {}
    fitting = [each.figures() for each in judgements if each.fits]
    for key in FIGURES:
        values = [np.array([value]) for each in fitting if (value := each[key]) is not None]
        if len(values) == 1:
            overall[key] = float(values[0][0])
        elif values:
            # All figures and all sources use the same draws of objects.
            rng = np.random.default_rng([seed, int(Stream.BOOTSTRAP)])
            overall[key] = cluster_bootstrap(values, rng)
    return overall
