"""The physics of an evaluation: trials, robust trials, a second engine, and their processes."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grasp.formats import Grasps
from grasp.grippers.gripper import Gripper
from grasp.judging.evaluation import MEASURED, Judge
from grasp.judging.labels import Simulator
from grasp.judging.measures import Measure, other_protocol, reach, robust, second_engine
from grasp.objects.object import Object
from grasp.physics import (
    Conditions,
    Protocol,
    RobustTrials,
    Trials,
    load_uncertainty,
    processes,
    simulate,
    simulate_robust,
)
from pcdiff.errors import InputError

FRAGILE = "fragile"
"""Cause of failure of a candidate that succeeds at the protocol's settings but is not robust."""

ENGINES = ("drake",)
"""Names of the second engines."""

ENGINE_GRASPS = 20
"""Largest number of grasps per case that the second engine tries, because its trials are slow."""


@dataclass(frozen=True, eq=False)
class Laboratory:
    """What tries the grasps of an evaluation.

    Attributes:
        simulator: Physics that tries the grasps.
        labeller: Physics that decides which antipodal candidates are positives. With robust trials,
            a positive succeeds in the simulator and is a robust grasp.
        measures: Measures of the grasps beside their success.
        facts: Settings that decide about the labels of candidates, in values of JSON.
    """

    simulator: Simulator
    labeller: Simulator
    measures: tuple[Measure, ...]
    facts: dict[str, Any]

    def judge(self, labels: Callable[[Object], Grasps]) -> Judge:
        """Return the judge that tries grasps in this laboratory.

        Args:
            labels: Function that returns an object's candidates with the labeller's outcomes.
        """
        # The report takes the protocol and the friction from the trials.
        stated = {name: fact for name, fact in self.facts.items() if name not in MEASURED}
        return Judge(self.simulator, self.measures, stated, labels)


@contextlib.contextmanager
def open_laboratory(
    conditions: Conditions,
    protocol: Protocol,
    *,
    workers: int = 1,
    robustly: bool = True,
    engine: str | None = None,
    others: Sequence[Protocol] = (),
    progress: Callable[[int], None] | None = None,
) -> Iterator[Laboratory]:
    """Yield a laboratory whose processes end when the `with` block ends.

    Args:
        conditions: Mass, density and friction of the objects. Robust trials draw the friction, so
            it must then be None or the protocol's.
        protocol: Protocol of all trials.
        workers: Number of processes.
        robustly: True to measure robust success.
        engine: Name of a second engine in `ENGINES`, or None.
        others: Further protocols under which the success of every grasp is measured.
        progress: Function that is called with the number of single trials that ended since its
            last call.

    Raises:
        InputError: If there are too many workers, no engine has the name, a package that the engine
            needs is missing, or a friction is given for robust trials.
    """
    stated = conditions.under(protocol)
    if robustly and stated.friction != protocol.friction:
        raise InputError(
            f"robust success draws the friction, so it takes none, got {stated.friction}",
            parameter="friction",
        )
    with processes(workers) as pool:
        simulator = functools.partial(
            simulate, conditions=conditions, protocol=protocol, pool=pool, progress=progress
        )
        labeller: Simulator = simulator
        measures: list[Measure] = []
        facts: dict[str, Any] = {
            "protocol": protocol.version, "density": stated.density, "friction": stated.friction,
        }  # fmt: skip
        if robustly:
            uncertainty = load_uncertainty()
            tried = functools.partial(
                simulate_robust,
                conditions=dataclasses.replace(conditions, friction=None),
                uncertainty=uncertainty,
                protocol=protocol,
                pool=pool,
            )
            measures.append(robust(tried, uncertainty.version))
            labeller = _robust_labels(simulator, tried)
            facts["uncertainty"] = uncertainty.version
        if engine is not None:
            second = _engine(engine, conditions, protocol, pool)
            measures.append(second_engine(second, engine, ENGINE_GRASPS))
        for other in others:
            tried_otherwise = functools.partial(simulate, protocol=other, pool=pool)
            measures.append(other_protocol(tried_otherwise, other.version))
        measures += reach(conditions, protocol)
        yield Laboratory(simulator, labeller, tuple(measures), facts)


def _robust_labels(
    simulator: Callable[[Object, Gripper, np.ndarray], Trials],
    tried: Callable[[Object, Gripper, np.ndarray], RobustTrials],
) -> Simulator:
    """Return physics in which only a robust grasp succeeds."""

    def label(obj: Object, gripper: Gripper, poses: np.ndarray) -> Trials:
        trials = simulator(obj, gripper, poses)
        likely = np.flatnonzero(trials.success)
        failure = trials.failure.astype("U16")
        # A grasp that fails at the protocol's settings is not tried under all draws, to save time.
        if len(likely):
            failure[likely[~tried(obj, gripper, poses[likely]).robust]] = FRAGILE
        return dataclasses.replace(trials, success=failure == "", failure=failure)

    return label


def _engine(name: str, conditions: Conditions, protocol: Protocol, pool: Any) -> Simulator:
    if name not in ENGINES:
        raise InputError(
            f"the engine must be {' or '.join(ENGINES)}, got {name!r}", parameter="engine"
        )
    from grasp.physics.hydroelastic import simulate_hydroelastic

    return functools.partial(
        simulate_hydroelastic, conditions=conditions, protocol=protocol, pool=pool
    )
