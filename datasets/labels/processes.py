"""Jobs on all cores of this machine: a process each, one object at a time, no orphans.

Not `concurrent.futures`: a pool there cannot say which object killed a worker, and its workers
outlive a parent that is killed.
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

from datasets.labels.labelling import Job, Work
from grasp.formats import Grasps
from grasp.physics import cores
from grasp.physics.workers import no_interrupt
from pcdiff.errors import InputError

# Where there are such, each worker leads a group of processes, so that what it starts ends with it.
_GROUPS = hasattr(os, "killpg")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def on_cores(
    work: Work, jobs: Iterable[Job], workers: int = 0
) -> Iterator[tuple[Job, Grasps | str]]:
    """Label objects in processes of this machine.

    Args:
        work: what to do with each object.
        jobs: the objects; asked for one at a time, when a process is free for it.
        workers: processes; 0 for as many as there are cores for this one.

    Yields:
        Each object with what came of it, in the order in which they are done.

    Raises:
        InputError: a process died; the sentence names its object.
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
                with contextlib.suppress(OSError):  # of a process that died, which shows below
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
        # What they have begun, the next run begins anew; they hold nothing to save.
        for connection, process in processes.items():
            _end(process)
            process.close()
            connection.close()


def _start(work: Work) -> tuple[Connection, SpawnProcess]:
    # Not forked: a forked copy of a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    with _one_thread(), no_interrupt():
        process.start()
    theirs.close()
    return ours, process


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Numerical libraries of a process started here use one thread: the other cores are taken."""
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
    """Do one job after another until the parent has no more or is gone."""
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
    """End a worker, and with it what it has started."""
    if _GROUPS:
        # It may not lead its group yet, or the group may be gone.
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
        how = "was killed, probably because memory ran out: fewer --workers need less of it"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    return f"the process that labelled {job.name} {how}; a new run goes on with what is missing"
