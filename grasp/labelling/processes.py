"""Run labelling jobs on this machine: one process per core, and one object at a time per process.

All worker processes end with the program.

A pool of `concurrent.futures` would not report which object killed a worker, and its workers would
survive a killed parent process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import cast

from grasp.formats import Grasps
from grasp.labelling.jobs import Job, Work
from grasp.physics import cores
from grasp.physics.workers import no_interrupt
from pcdiff.errors import InputError

# If the system has process groups, a worker leads a group, which ends together with the worker.
_GROUPS = hasattr(os, "killpg")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def on_cores(
    work: Work, jobs: Iterable[Job], workers: int = 0
) -> Iterator[tuple[Job, Grasps | str]]:
    """Label objects in processes on this machine.

    Args:
        work: Function that labels one object.
        jobs: Objects to label; a free process requests the next object.
        workers: Number of processes; 0 uses one process for each core that this process may use.

    Yields:
        Each object with its result, in the order of completion.

    Raises:
        InputError: If a process died; the message names the object that the process labelled.
    """
    limit = workers or cores()
    waiting = iter(jobs)
    idle: list[Connection] = []
    busy: dict[Connection, Job] = {}
    processes: dict[Connection, SpawnProcess] = {}
    try:
        while True:
            while (idle or len(processes) < limit) and (job := next(waiting, None)) is not None:
                if not idle:
                    connection, process = _start(work)
                    processes[connection] = process
                    idle.append(connection)
                connection = idle.pop()
                busy[connection] = job
                with contextlib.suppress(OSError):  # if the process died, `recv` below notices
                    connection.send(job)
            if not busy:
                return
            for ready in wait(list(busy)):
                connection = cast(Connection, ready)
                job = busy.pop(connection)
                try:
                    result = connection.recv()
                except (EOFError, OSError) as error:
                    raise InputError(_obituary(processes[connection], job)) from error
                idle.append(connection)
                yield job, result
    finally:
        # The processes have no data to save: the next run repeats unfinished objects.
        for connection, process in processes.items():
            _end(process)
            process.close()
            connection.close()


def _start(work: Work) -> tuple[Connection, SpawnProcess]:
    # Processes are spawned, because a forked copy of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    with _one_thread(), no_interrupt():
        process.start()
    theirs.close()
    return ours, process


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Limit every process that starts in this context to one numerical thread.

    Other processes use the other cores.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(work: Work, connection: Connection) -> None:
    """Do one job after another until the parent process closes the connection or ends."""
    if _GROUPS:
        os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError):
        while True:
            connection.send(work(connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if _GROUPS:
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _end(process: SpawnProcess) -> None:
    """End a worker process and all processes that it started."""
    if _GROUPS:
        # The worker may not lead a group yet, or its group may be gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(cast(int, process.pid), signal.SIGKILL)
    process.kill()
    process.join()


def _obituary(process: SpawnProcess, job: Job) -> str:
    wait([process.sentinel])
    _end(process)
    code = process.exitcode or 0
    how = f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        how = "was killed, probably because memory ran out: use fewer workers"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    return f"the process that labelled {job.name} {how}; a new run labels the missing objects"
