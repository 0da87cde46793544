"""The simulator of the commands that run physics."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grasp.judging.labels import Simulator


@contextlib.contextmanager
def open_simulator(
    workers: int,
    progress: Callable[..., None],
    *,
    mass: float | None = None,
    density: float | None = None,
    friction: float | None = None,
) -> Iterator[Simulator]:
    """Yield a simulator with processes that end when the `with` block ends.

    Args:
        workers: Number of processes; 0 means one process per CPU core.
        progress: Function that is called with the number of trials done since the last call.
        mass: Mass of each object in kg; None means the object's volume times the density.
        density: Density of the objects in kg/m³; None means the density in the protocol.
        friction: Coefficient of friction between object and pads; None means the coefficient in
            the protocol.

    Raises:
        InputError: If there are too many workers.
    """
    from grasp.physics import Conditions, cores, processes, simulate

    conditions = Conditions(mass, density, friction)
    with processes(workers or cores()) as pool:
        yield functools.partial(simulate, conditions=conditions, pool=pool, progress=progress)
