"""Run jobs on several machines, through Ray.

The machines need only the installed package with its extra `ray`. Ray sends them the objects and
the code of this folder, which is not part of the installed package, and sends the labels back. Only
the machine that started the run writes files.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from datasets.labels import labelling
from datasets.labels.labelling import Job, Work
from grasp.formats import Grasps
from pcdiff.errors import InputError

LOCAL = "local"
"""Address of a cluster that is started on this machine and ends with the run."""

RUNNING = "auto"
"""Address of the cluster that this machine belongs to."""

_AHEAD = 2  # jobs sent ahead for each core, so that no core waits for its next one


def on_cluster(
    work: Work, jobs: Iterable[Job], address: str, workers: int = 0
) -> Iterator[tuple[Job, Grasps | str]]:
    """Label objects on a Ray cluster, with one core per object.

    Nothing is lost when a machine leaves the cluster: Ray gives its objects to other machines.

    Args:
        work: Function that labels one object.
        jobs: Objects to label; they are requested a few at a time.
        address: Address of the cluster, HOST:PORT, or `LOCAL` or `RUNNING`.
        workers: Number of cores of a local cluster; 0 uses all cores.

    Yields:
        Each object with its result, in the order in which they finish.

    Raises:
        InputError: If Ray is not installed, there is no cluster at the address, an object cannot be
            labelled because its process died repeatedly, or the machines lack this package.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed here: it comes with the extra ray (pip install "
            "'pcdiff-grasp[ray]')"
        ) from error
    by_value = {labelling, sys.modules[work.__module__]}
    _connect(ray, address, workers)
    try:
        for module in by_value:
            ray.cloudpickle.register_pickle_by_value(module)
        # By default Ray would fill one machine before it uses the next.
        remote: Any = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(work)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = iter(jobs)
        running = {remote.remote(job): job for job in islice(waiting, _AHEAD * cores)}
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            job = running.pop(done)
            yield job, _result(ray, done, job)
            running |= {remote.remote(job): job for job in islice(waiting, 1)}
    finally:
        for module in by_value:
            ray.cloudpickle.unregister_pickle_by_value(module)
        ray.shutdown()


def _connect(ray: Any, address: str, workers: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        # By default Ray sends statistics about a cluster that it starts to its developers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address=LOCAL, num_cpus=workers or None, include_dashboard=False, **quiet)
        return
    if workers:
        raise InputError(
            f"the cluster at {address} decides the number of workers, expected 0 but got {workers}"
        )
    if address != RUNNING:
        _check_reachable(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"there is no Ray cluster at {address}: {reason}") from error


def _check_reachable(address: str) -> None:
    """Raise unless a server listens at the address; Ray itself would retry for many minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(
            f"the address of a Ray cluster must be {LOCAL}, {RUNNING} or HOST:PORT, got {address!r}"
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"there is no Ray cluster at {address}: {reason}") from error


def _result(ray: Any, done: Any, job: Job) -> Grasps | str:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if not isinstance(error.cause, ImportError):
            raise
        raise InputError(
            f"a machine in the cluster cannot label {job.name}: {error.cause}"
        ) from error
    except ray.exceptions.RayError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"the cluster failed to label {job.name}: {reason}") from error
