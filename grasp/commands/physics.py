"""What the commands that run physics share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pcdiff.console import Session
from pcdiff.errors import InputError

if TYPE_CHECKING:
    from grasp.judging.labels import Simulator


def physics_session(command: str, seed: int, device: str, as_json: bool) -> Session:
    """A session on the CPU, where physics runs.

    Args:
        command: the command's name, e.g. "grasp simulate".
        seed: the seed it runs with.
        device: the device asked for.
        as_json: print the record, not the text.

    Raises:
        InputError: If if that is another device.
    """
    if device != "cpu":
        raise InputError(f"physics runs on the CPU, so --device must be cpu, got {device}")
    return Session(command, seed, device, as_json=as_json)


@contextlib.contextmanager
def open_simulator(
    workers: int,
    progress: Callable[..., None],
    *,
    mass: float | None = None,
    density: float | None = None,
    friction: float | None = None,
) -> Iterator[Simulator]:
    """The simulator, and processes for it that live as long as this context.

    Args:
        workers: how many processes; 0 for one a CPU core.
        progress: called with the number of trials that have been done since the last call.
        mass: of each object, kg; None for its volume times the density.
        density: of the objects, kg/m³; None for the protocol's.
        friction: coefficient of object and pads; None for the protocol's.

    Raises:
        InputError: If there are too many workers.
    """
    from grasp.physics import Conditions, cores, processes, simulate

    conditions = Conditions(mass, density, friction)
    with processes(workers or cores()) as pool:
        yield functools.partial(simulate, conditions=conditions, pool=pool, progress=progress)
