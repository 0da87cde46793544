"""Worker processes for trials, and handling of interrupts (Ctrl-C) without tracebacks."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import resource_tracker
from typing import TypeVar

from pcdiff.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

_WORKERS_PER_CORE = 4
"""Largest number of workers per CPU core. More workers would only cost memory."""


@contextlib.contextmanager
def processes(workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Start a pool of worker processes for several calls of `simulate`, and end the pool on exit.

    Without a pool, every call of `simulate` starts and ends its own processes.

    Args:
        workers: Number of worker processes. For 1 worker there is no pool, and `simulate` runs in
            the caller's process.

    Yields:
        The pool, or None for 1 worker.

    Raises:
        InputError: If the number of workers is below 1 or above 4 per CPU core.
    """
    check_workers(workers)
    if workers == 1:
        yield None
        return
    # The processes are spawned, because a fork would copy the locks of other libraries' threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_hear_interrupts) as pool:
        yield pool


def results_in_order(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    pool: Executor | None,
) -> Iterator[Result]:
    """Yield the results of a function for all tasks, in the order of the tasks.

    Args:
        function: Function of one task; processes can unpickle it.
        tasks: Arguments of the function.
        pool: Processes that call the function. None means this process.
    """
    if pool is None:
        yield from map(function, tasks)
        return
    with no_interrupt():  # the first jobs start the processes
        jobs = [pool.submit(function, task) for task in tasks]
    try:
        for job in jobs:
            yield job.result()
    finally:
        for job in jobs:
            job.cancel()


def cores() -> int:
    """Return the number of CPU cores that this process may use, or all cores if that is unknown."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_workers(workers: int) -> None:
    """Check that a number of worker processes is suitable for this machine.

    Args:
        workers: Number of worker processes.

    Raises:
        InputError: If the number is below 1 or above 4 per CPU core.
    """
    most = _WORKERS_PER_CORE * cores()
    if workers < 1:
        raise InputError(f"physics needs at least 1 worker, got {workers}")
    if workers > most:
        raise InputError(
            f"physics accepts at most {most} workers, {_WORKERS_PER_CORE} for each CPU core, "
            f"got {workers}"
        )


@contextlib.contextmanager
def no_interrupt() -> Iterator[None]:
    """Make processes that start in the `with` block ignore Ctrl-C.

    A terminal sends Ctrl-C to all processes, but only the main process must react. A process that
    is still starting would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python's resource tracker starts now, because its start would remove the mask below.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Another thread can still receive the signal. Python would then interrupt the main thread,
    # perhaps after it started a process but before it told the process what to do. So the signal is
    # recorded here and raised again at the end.
    received: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    if main:
        before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if received:
            signal.raise_signal(signal.SIGINT)


def _hear_interrupts() -> None:
    """Discard a Ctrl-C that arrived while this process started; react to every later Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.signal(signal.SIGINT, signal.default_int_handler)
