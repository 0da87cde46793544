"""The physics of the commands that try grasps."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from grasp.grippers.gripper import Gripper
    from grasp.objects.object import Object
    from grasp.physics import Conditions, Protocol, RobustTrials, Trials


class Physics(NamedTuple):
    """Functions that try poses `T_object_grasp` of an object with a gripper.

    Attributes:
        simulate: Trials under the conditions.
        robust: Trials under all draws of the package's uncertainty.
    """

    simulate: Callable[[Object, Gripper, np.ndarray], Trials]
    robust: Callable[[Object, Gripper, np.ndarray], RobustTrials]


@contextlib.contextmanager
def open_physics(
    workers: int,
    progress: Callable[..., None],
    conditions: Conditions,
    protocol: Protocol,
) -> Iterator[Physics]:
    """Yield physics with processes that end when the `with` block ends.

    Args:
        workers: Number of processes; 0 means one process per CPU core.
        progress: Function that is called with the number of trials done since the last call.
        conditions: Mass, density and friction of the objects; robust trials draw the friction.
        protocol: Protocol of the trials.

    Raises:
        InputError: If there are too many workers.
    """
    from grasp.physics import cores, processes, simulate, simulate_robust

    with processes(workers or cores()) as pool:
        yield Physics(
            functools.partial(
                simulate, conditions=conditions, protocol=protocol, pool=pool, progress=progress
            ),
            functools.partial(
                simulate_robust,
                conditions=dataclasses.replace(conditions, friction=None),
                protocol=protocol,
                pool=pool,
            ),
        )
