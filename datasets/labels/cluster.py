"""Run labelling jobs on several machines with Ray.

The machines need only the installed package with the extra `ray`. Ray sends the objects to the
machines and the labels back, and only the machine that started the run writes files. A function of
the checkout, such as a substitute in a test, is sent with its code.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from grasp.formats import Grasps
from grasp.labelling.jobs import Job, Work
from pcdiff.errors import InputError

LOCAL = "local"
"""Address of a cluster that starts on this machine and ends with the run."""

RUNNING = "auto"
"""Address of the cluster that this machine belongs to."""

_AHEAD = 2  # number of jobs sent in advance per core, so that no core waits for its next job


def on_cluster(
    work: Work, jobs: Iterable[Job], address: str, workers: int = 0
) -> Iterator[tuple[Job, Grasps | str]]:
    """Label objects on a Ray cluster, with one core per object.

    If a machine leaves the cluster, Ray gives its objects to other machines.

    Args:
        work: Function that labels one object.
        jobs: Objects to label; the function requests a few objects at a time.
        address: Address of the cluster: HOST:PORT, `LOCAL` or `RUNNING`.
        workers: Number of cores for a `LOCAL` cluster; the default 0 uses all cores. For any other
            address, only the default is allowed.

    Yields:
        Each object with its result, in the order of completion.

    Raises:
        InputError: If Ray is not installed, there is no cluster at the address, `workers` is not 0
            for a cluster other than `LOCAL`, an object cannot be labelled because its process died
            repeatedly, or the package is not installed on the machines.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError(
            "Ray is not installed here: install the extra ray with pip install 'pcdiff-grasp[ray]'"
        ) from error
    own = work.__module__.partition(".")[0] != "grasp"  # not part of the installed package
    by_value = {sys.modules[work.__module__]} if own else set()
    _connect(ray, address, workers)
    try:
        for module in by_value:
            ray.cloudpickle.register_pickle_by_value(module)
        # By default, Ray would fill one machine before it uses the next machine.
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
        # By default, Ray sends its developers statistics about every cluster that it starts.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(address=LOCAL, num_cpus=workers or None, include_dashboard=False, **quiet)
        return
    if workers:
        raise InputError(
            f"the number of workers must be 0 for the running cluster at {address}, got {workers}"
        )
    if address != RUNNING:
        _check_reachable(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"there is no Ray cluster at {address}: {reason}") from error


def _check_reachable(address: str) -> None:
    """Raise an error unless a server listens at the address; Ray would retry for many minutes."""
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
