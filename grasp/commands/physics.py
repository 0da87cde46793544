"""Helpers that the commands which run physics share."""

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
    """Start a session on the CPU, where physics runs.

    Args:
        command: Name of the command, e.g. "grasp simulate".
        seed: Seed of the command.
        device: Device that the user asked for.
        as_json: Whether to print the record instead of the text.

    Raises:
        InputError: If the device is not the CPU.
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
    """Yield a simulator whose processes live as long as this context.

    Args:
        workers: Number of processes; 0 means one per CPU core.
        progress: Called with the number of trials done since the last call.
        mass: Mass of each object in kg; None means its volume times the density.
        density: Density of the objects in kg/m³; None means that of the protocol.
        friction: Coefficient of friction of object and pads; None means that of the protocol.

    Raises:
        InputError: If there are too many workers.
    """
    from grasp.physics import Conditions, cores, processes, simulate

    conditions = Conditions(mass, density, friction)
    with processes(workers or cores()) as pool:
        yield functools.partial(simulate, conditions=conditions, pool=pool, progress=progress)
