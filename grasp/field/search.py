"""The search for grasps: samples are drawn and assessed until enough of them are suitable."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from grasp.field.selection import Assessed, Selection, select
from grasp.formats import Grasps
from pcdiff.diffusion.samplers import State

_SURPLUS = 1.2  # number of further samples drawn, divided by the number expected to suffice


class Step(NamedTuple):
    """The state of a search.

    Attributes:
        done: Work done so far: the number of steps of all samples, where a sample that is assessed
            takes one more step.
        total: Work that the search is expected to take. It grows if more samples are needed.
        grasps: The grasps; None before the last step.
    """

    done: int
    total: int
    grasps: Grasps | None = None


def search(
    draw: Callable[[int], Iterator[State]],
    assess: Callable[[Tensor], Assessed],
    count: int,
    selection: Selection,
    tool_center_point: Float[np.ndarray, "3"],
    steps: int,
) -> Generator[Step, None, tuple[Assessed, Int[np.ndarray, " chosen"]]]:
    """Draw samples until enough of them are free of collisions, or until the limit is reached.

    Args:
        draw: Function that returns the states of the sampler for a number of samples.
        assess: Function that computes the properties of finished samples.
        count: Number of requested grasps.
        selection: Settings of the choice.
        tool_center_point: Tool centre point in the gripper's frame in metres.
        steps: Number of sampling steps.

    Yields:
        The state of the search after each sampling step, and after each assessment.

    Returns:
        All samples, and the indices of the chosen samples, best first.
    """
    at_once = wanted = math.ceil(count * selection.oversampling)
    most = selection.attempts * at_once
    samples: Assessed | None = None
    drawn, work = 0, steps + 1
    while True:
        for step, state in enumerate(draw(wanted)):
            last = state.x
            yield Step(drawn * work + wanted * step, (drawn + wanted) * work)
        more = assess(last)
        yield Step((drawn + wanted) * work, (drawn + wanted) * work)
        samples = more if samples is None else samples.joined(more)
        order = select(samples, count, selection, tool_center_point)
        drawn, free = len(samples.poses), int((~samples.collides[order]).sum())
        if free == count or drawn == most:
            return samples, order
        # Estimate the necessary samples from the share of usable samples so far; add a surplus.
        wanted = math.ceil(_SURPLUS * (count - free) * drawn / max(free, 1))
        wanted = min(wanted, at_once, most - drawn)
