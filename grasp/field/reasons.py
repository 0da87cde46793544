"""The reasons why there are fewer grasps than requested, with the settings that would help.

A reason names settings in words. `Reason.remedies` repeats them as names of parameters, such as the
fields of `grasp.field.request.Request`, so that a command can name the options that set them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from grasp.costs import Constraint
from grasp.field.selection import Assessed, Selection
from grasp.field.weight import Weight
from grasp.grippers.gripper import Gripper, load_gripper, shipped_grippers
from grasp.objects.normals import directions

_DIRECTIONS = 400  # number of directions in which the extent of an object is measured

_SMALLER = dict.fromkeys(("unit", "scale"), "state the unit or scale if the object is smaller")


class Reason(NamedTuple):
    """A sentence for the user, and the settings that would help.

    Attributes:
        text: The sentence.
        remedies: Names of the settings, without repetition.
    """

    text: str
    remedies: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts about an object and a gripper that a reason may state.

    Attributes:
        points: Points on the object's surface in metres.
        gripper: The gripper.
        weight: Weight of the object; None if unknown.
        density: Density in kg/m³ from which the weight was computed; None if the user stated the
            mass.
        protocol: Version of the physics protocol that probabilities of success refer to.
    """

    points: Float[np.ndarray, "points 3"]
    gripper: Gripper
    weight: Weight | None
    density: float | None
    protocol: str

    @cached_property
    def narrowest(self) -> float:
        """The narrowest width of the object in metres, over many directions."""
        # The coordinate axes are included because CAD models are often narrowest along one of them.
        along = np.concatenate([np.eye(3), directions(_DIRECTIONS)])
        return float(np.ptp(self.points @ along.T, axis=0).min())

    @property
    def of_size(self) -> str:
        """A clause that compares the narrowest width with the stroke of the gripper."""
        return (
            f"the object is {1000 * self.narrowest:.0f} mm wide at its narrowest, and "
            f"{self.gripper.name} opens {1000 * self.gripper.stroke:.0f} mm"
        )

    @property
    def of_weight(self) -> str:
        """A clause that states the weight; "" if it is unknown."""
        if self.weight is None:
            return ""
        at = "" if self.density is None else f" at {self.density:g} kg/m³"
        return f"the object weighs {self.weight.mass:.2g} kg{at}; "


def too_wide(facts: Facts, chord: float) -> Reason:
    """Return the reason why there is no grasp of an object that is too wide for its gripper.

    Args:
        facts: Facts about the object and the gripper.
        chord: Smallest opening in metres that would suffice; see `grasp.objects.chords`.
    """
    wider, text = _wider(facts.gripper, chord)
    return _advised(
        "the object has no pair of opposite places within the stroke of the gripper: "
        f"{facts.of_size}; {text}",
        {**wider, **_SMALLER},
    )


def explained(
    samples: Assessed,
    order: Int[np.ndarray, " chosen"],
    count: int,
    selection: Selection,
    facts: Facts,
) -> Reason | None:
    """Return the reason why there are fewer grasps than requested, or why all are in collision.

    Args:
        samples: All samples.
        order: Indices of the chosen samples.
        count: Number of requested grasps.
        selection: Settings that were used to choose the grasps.
        facts: Facts about the object and the gripper.

    Returns:
        The reason; None if there is nothing to explain.
    """
    reasons = []
    if len(order) and samples.hits_scene[order].all():
        reasons.append(_all_hit_the_scene(samples))
    if len(order) < count:
        reasons.append(_shortfall(samples, len(order), selection, facts))
    if not reasons:
        return None
    remedies = dict.fromkeys(name for each in reasons for name in each.remedies)
    return Reason("; ".join(each.text for each in reasons), tuple(remedies))


def _all_hit_the_scene(samples: Assessed) -> Reason:
    return Reason(
        "the open hand of every returned grasp collides with the scene, as it does in "
        f"{int(samples.hits_scene.sum())} of {len(samples.poses)} samples: check the pose of the "
        "object in the scene, or draw more samples per grasp",
        ("scene", "oversampling"),
    )


def _shortfall(samples: Assessed, returned: int, selection: Selection, facts: Facts) -> Reason:
    if not samples.meets.any():
        advice = dict.fromkeys(_constraining(samples), "relax a constraint")
        return _advised(
            f"none of {len(samples.poses)} samples satisfies the constraints: "
            f"{_exclusions(samples)}",
            {**advice, "oversampling": "draw more samples per grasp"},
        )
    if returned:
        return _too_few(samples, returned, selection, facts)
    return _none(samples, selection, facts)


def _too_few(samples: Assessed, returned: int, selection: Selection, facts: Facts) -> Reason:
    drawn, enough = len(samples.poses), int(_probable(samples, selection).sum())
    text = (
        f"{enough} of {drawn} samples have a probability of success of at least "
        f"{selection.least_probability:g} under protocol {facts.protocol}"
    )
    advice = {"oversampling": "draw more samples per grasp"}
    if returned < enough:
        text += f", and {returned} of these samples are far enough from better samples"
        advice["thin"] = "keep grasps that are close to each other"
    if selection.least_probability > 0:
        advice["least_probability"] = "lower the least probability"
    if excluded := _exclusions(samples):
        text += f"; {excluded}"
        advice |= dict.fromkeys(_constraining(samples), "relax a constraint")
    return _advised(text, advice)


def _none(samples: Assessed, selection: Selection, facts: Facts) -> Reason:
    drawn, enough = len(samples.poses), int(_probable(samples, selection).sum())
    free = samples.meets & ~samples.hits_object
    best = samples.probability[samples.meets].max()
    text = (
        f"no grasp is likely to succeed: of {drawn} samples, {enough} have a probability of "
        f"success of at least {selection.least_probability:g} under protocol {facts.protocol} (the "
        f"highest is {best:.2f}) and {int(free.sum())} have no collision of the open hand with the "
        f"object, but no sample has both properties; {facts.of_weight}{facts.of_size}"
    )
    advice = {"oversampling": "draw more samples per grasp"}
    if free.any() and (within := _rounded_down(samples.probability[free].max())) > 0:
        advice["least_probability"] = f"accept a least probability of {within:.2f}"
    if not enough and facts.weight is not None and facts.density is not None:
        advice["mass"] = "state the mass if the object is lighter"
    if facts.narrowest > facts.gripper.stroke:
        wider, strokes = _wider(facts.gripper, facts.narrowest)
        text += f"; {strokes}"
        advice |= {**wider, **_SMALLER}
    if excluded := _exclusions(samples):
        text += f"; {excluded}"
        advice |= dict.fromkeys(_constraining(samples), "relax a constraint")
    return _advised(text, advice)


def _advised(text: str, advice: dict[str, str]) -> Reason:
    """Append advice, which maps each setting to what to do with it."""
    *most, last = dict.fromkeys(advice.values())
    listed = f"{', '.join(most)}, or {last}" if most else last
    return Reason(f"{text}; to get more grasps, {listed}", tuple(advice))


def _probable(samples: Assessed, selection: Selection) -> Bool[np.ndarray, " samples"]:
    return samples.meets & (samples.probability >= selection.least_probability)


def _rounded_down(probability: float) -> float:
    return math.floor(100 * probability) / 100


def _exclusions(samples: Assessed) -> str:
    """Return how many samples each constraint excludes; "" if no sample is excluded."""
    return ", ".join(
        f"{constraint} excludes {count} of {len(samples.poses)} samples"
        for constraint, count in _excluded(samples)
    )


def _constraining(samples: Assessed) -> tuple[str, ...]:
    """Return the settings that make the constraints which exclude samples."""
    return tuple(dict.fromkeys(constraint.parameter for constraint, _ in _excluded(samples)))


def _excluded(samples: Assessed) -> list[tuple[Constraint, int]]:
    """Return each constraint that excludes samples, and how many it excludes."""
    counts = (~samples.holds).sum(axis=0).tolist()
    return [
        (constraint, count)
        for constraint, count in zip(samples.constraints, counts, strict=True)
        if count
    ]


def _wider(gripper: Gripper, width: float) -> tuple[dict[str, str], str]:
    """Find another shipped gripper that opens to a width in metres.

    Returns:
        The advice to use it, empty if there is none, and a clause that states its stroke, or the
        widest stroke if there is none.
    """
    others = [load_gripper(name) for name in shipped_grippers() if name != gripper.name]
    fitting = [each for each in others if each.stroke >= width]
    if fitting:
        first = min(fitting, key=lambda each: each.stroke)
        clause = f"the gripper {first.name} opens wide enough, {1000 * first.stroke:.0f} mm"
        return {"gripper": f"use {first.name}"}, clause
    widest = max([gripper, *others], key=lambda each: each.stroke)
    return {}, (
        f"no shipped gripper opens wide enough (the widest, {widest.name}, opens "
        f"{1000 * widest.stroke:.0f} mm)"
    )
