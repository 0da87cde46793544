"""The judge of any source of grasps: what `grasp evaluate` computes and reports.

A source is asked for so many grasps of each object, and each of them goes through physics as it is:
nothing is rejected, nothing drawn again, and a grasp in collision is a failure. What can be grasped
at all is told beforehand and without the source: by antipodal candidates that went through the same
physics. Those that held are the *positives* that a source should cover, and an object *fits* the
gripper when there are enough of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.coverage import (
    coverage,
    earth_movers_distance,
    precision_coverage_curve,
)
from grasp.judging.labels import BOOTSTRAP, MATCHING, SOURCE, Simulator, generator, label_candidates
from grasp.judging.proportions import (
    FITS_CANDIDATES,
    Estimate,
    cluster_bootstrap,
    fits,
)
from grasp.judging.report import FIGURES, PAIRS, Judgement, Report, Stamp
from grasp.objects.object import Object
from pcdiff.errors import InputError

Source = Callable[[Object, int, np.random.Generator], Grasps]
"""Gives so many grasps of an object, best ranked first."""


# What a report says of the physics by itself.
_MEASURED = {"protocol", "friction"}


def evaluate(
    source: Source,
    objects: Sequence[Object],
    gripper: Gripper,
    simulator: Simulator,
    *,
    name: str,
    samples: int = 1000,
    candidates: int = FITS_CANDIDATES,
    seed: int = 0,
    physics: Mapping[str, Any] | None = None,
    labels: Callable[[Object], Grasps] | None = None,
) -> Report:
    """Judge a source of grasps by physics.

    What is drawn for an object depends on the seed and on its geometry alone, not on the other
    objects.

    Args:
        source: gives the grasps.
        objects: at least one.
        gripper: the gripper.
        simulator: the physics, for candidates and grasps alike; see `grasp.physics.simulate`.
        name: what the report calls the source.
        samples: grasps that the source is asked for, of each object.
        candidates: antipodal candidates of each object.
        seed: of everything that is drawn.
        physics: what else the report says about the simulator, e.g. the density; protocol and
            friction it takes from the trials.
        labels: gives an object's candidates with their `success`, e.g. from a file; made by
            `label_candidates` unless given.

    Raises:
        InputError: there is no object, or one twice; a number is out of range; the source gives
            grasps of another gripper, or more than it was asked for; or the labels come from
            another protocol or friction than the trials.
    """
    if not objects or samples < 1 or candidates < 1 or seed < 0:
        raise InputError(
            "an evaluation needs at least 1 object, 1 sample, 1 candidate and seed 0, got "
            f"{len(objects)} objects, {samples} samples, {candidates} candidates and seed {seed}"
        )
    names: dict[str, str] = {}
    for obj in objects:
        if obj.sha256 in names:
            raise InputError(
                f"{obj.file or obj.name} has the same geometry as {names[obj.sha256]}, expected "
                "each object once"
            )
        names[obj.sha256] = obj.file or obj.name
    physics = dict(physics or {})
    if taken := sorted(_MEASURED & physics.keys()):
        raise InputError(f"the trials say what {' and '.join(taken)} they have: leave it out")
    judgements = []
    for obj in objects:
        if labels is None:
            labelled = label_candidates(obj, gripper, simulator, count=candidates, seed=seed)
        else:
            labelled = labels(obj)
        grasps = source(obj, samples, generator(seed, SOURCE, obj))
        judgements.append(_judge(obj, gripper, simulator, grasps, labelled, samples, seed))
    physics = _measured(judgements) | physics
    stamp = Stamp(gripper.name, name, samples, candidates, seed, physics)
    return Report(tuple(judgements), _overall(judgements, seed), stamp)


def _judge(
    obj: Object,
    gripper: Gripper,
    simulator: Simulator,
    grasps: Grasps,
    labelled: Grasps,
    samples: int,
    seed: int,
) -> Judgement:
    if grasps.gripper not in (None, gripper.name):
        raise InputError(
            f"the grasps of {obj.name} are for the gripper {grasps.gripper}, not {gripper.name}"
        )
    if len(grasps) > samples:
        raise InputError(
            f"the source gave {len(grasps)} grasps of {obj.name}, expected at most {samples}"
        )
    if labelled.success is None:
        raise InputError(f"the candidates of {obj.name} have no success, expected labelled ones")
    positives = labelled.poses[labelled.success]
    protocol, friction = labelled.protocol, labelled.friction
    success, failures = np.zeros(0, bool), {}
    curve = covered_at_base = distance = None
    pairs = min(len(grasps), len(positives), PAIRS)
    if len(grasps):
        trials = simulator(obj, gripper, grasps.poses)
        for quantity in sorted(_MEASURED):
            before, now = getattr(labelled, quantity), getattr(trials, quantity)
            if before not in (None, now):
                raise InputError(
                    f"the candidates of {obj.name} were tried with {quantity} {before}, but the "
                    f"grasps with {now}"
                )
        protocol, friction = trials.protocol, trials.friction
        success = trials.success
        reasons, counts = np.unique(trials.failure[~success], return_counts=True)
        failures = dict(zip(reasons.tolist(), counts.tolist(), strict=True))
    if pairs:
        tool = np.eye(4)
        tool[:3, 3] = gripper.tool_center_point
        curve = precision_coverage_curve(grasps.poses @ tool, success, positives @ tool)
        covered_at_base = coverage(grasps.poses, positives)
        rng = generator(seed, MATCHING, obj)
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
    """Protocol and friction of the trials; several of either where objects differ."""
    found: dict[str, Any] = {}
    for quantity in ("protocol", "friction"):
        every = {getattr(each, quantity) for each in judgements} - {None}
        if every:
            found[quantity] = every.pop() if len(every) == 1 else sorted(every)
    return found


def _overall(judgements: Sequence[Judgement], seed: int) -> dict[str, Estimate | float]:
    """Each figure over the objects that fit and have it."""
    overall: dict[str, Estimate | float] = {}
    fitting = [each.figures() for each in judgements if each.fits]
    for key in FIGURES:
        values = [np.array([value]) for each in fitting if (value := each[key]) is not None]
        if len(values) == 1:
            overall[key] = float(values[0][0])
        elif values:
            # The same draws of objects for every figure and every source.
            rng = np.random.default_rng([seed, BOOTSTRAP])
            overall[key] = cluster_bootstrap(values, rng)
    return overall
