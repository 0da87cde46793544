"""Substitutes for `grasp.labelling.jobs.attempt` in the processes of these tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from datasets.household.shapes import box
from datasets.labels import Job, Settings
from grasp.formats import Grasps
from grasp.grippers.gripper import load_gripper
from grasp.labelling.jobs import attempt
from grasp.labelling.processes import on_cores
from grasp.objects.object import Object

MEETING = "LABELS_TEST_MEETING"


def job(name: str, settings: Settings) -> Job:
    """A small box to grasp."""
    obj = Object.from_mesh(*box((0, 0, 0), (0.03, 0.04, 0.05)))
    return Job(name, obj, 0.1, None, 1.0, settings)


def answer(job: Job) -> str:
    return f"{job.name} in {os.getpid()}"


def die_of_b(job: Job) -> str:
    if job.name == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return job.name


def leave_at_b(job: Job) -> str:
    if job.name == "b":
        sys.exit(3)
    return job.name


def meet_and_label(job: Job) -> Grasps | str:
    """Label an object once the other of two objects has also reached this point.

    The meeting place is a folder with a named pipe, whose two ends wait for each other. An empty
    file there records the node that this process runs on.
    """
    import ray

    place = Path(os.environ[MEETING])
    (place / str(ray.get_runtime_context().get_node_id())).touch()
    with (place / "pipe").open("w" if job.name.endswith("0") else "r"):
        return attempt(job)


def start_child(job: Job) -> str:
    """Start a process that waits for ever, and return its id."""
    wait = "import signal; signal.pause()"
    return str(subprocess.Popen([sys.executable, "-c", wait]).pid)


def wait_for_ever(job: Job) -> str:
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    signal.pause()
    return job.name


def wait_in_a_worker() -> None:
    list(on_cores(wait_for_ever, [job("a", Settings(load_gripper("panda")))], 1))


def threads(job: Job) -> str:
    return os.environ["OMP_NUM_THREADS"]
