"""Workers that die, parents that die, and Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datasets.labels import Job
from grasp.labelling.processes import on_cores
from pcdiff.errors import InputError
from tests.datasets.labels import work

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = Path("grasps") / "panda"
KILLS = 4


@pytest.fixture
def jobs(settings) -> list[Job]:
    return [work.job(name, settings) for name in "abcde"]


def test_there_are_as_many_processes_as_cores_to_use(jobs, monkeypatch):
    """The number of processes is the number of usable cores, not of all cores of the machine."""
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    answers = [result for _, result in on_cores(work.answer, jobs)]
    assert len({answer.split(" in ")[1] for answer in answers}) == 1


def begin(folder, count) -> subprocess.Popen:
    arguments = ["--count", count, "--seed", 7, "--workers", 2]
    return subprocess.Popen(
        [sys.executable, "-m", "datasets.labels", folder, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def pids(process) -> list[int]:
    """The ids of the processes that a process has started."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def children(process) -> list[int]:
    """Handles of the processes that a process has started and that still exist."""
    handles = []
    for pid in pids(process):
        with contextlib.suppress(ProcessLookupError):
            handles.append(os.pidfd_open(pid))
    return handles


def ended(handles) -> bool:
    """Whether all processes end within 20 seconds."""
    done = [bool(select.select([handle], [], [], 20)[0]) for handle in handles]
    for handle in handles:
        os.close(handle)
    return all(done)


def until(process, condition: Callable[[], bool]) -> None:
    """Wait until the condition holds or the process ends."""
    while process.poll() is None and not condition():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)


def h5_files(folder) -> list[Path]:
    """The complete files of labels."""
    return list((folder / OUTPUT).glob("[!.]*.h5"))


needs_linux = pytest.mark.skipif(
    not Path("/proc/self/task").exists() or not hasattr(os, "pidfd_open"),
    reason="needs Linux, which lists the children of a process",
)


@pytest.mark.extras
@needs_linux
def test_kills_at_random_moments(labelled, a_set, tmp_path):
    """Complete files stay, no file is partial or doubled, workers end, the result is the same."""
    rng = np.random.default_rng(0)
    whole = {path.name: path.read_bytes() for path in h5_files(labelled[0])}
    folder = shutil.copytree(a_set, tmp_path / "set")
    complete: dict[str, int] = {}
    kills = runs = 0
    while kills < KILLS:
        process = begin(folder, 12)
        # The kill happens at any time from before the imports until after the last object.
        enough = min(len(complete) + rng.integers(3), 4)
        until(process, lambda: len(h5_files(folder)) >= enough)  # noqa: B023
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0, 0.5))
        workers = children(process) if process.poll() is None else []
        process.kill()
        process.communicate()
        assert ended(workers)
        kills += process.returncode == -signal.SIGKILL
        now = {path.name: path for path in h5_files(folder)}
        assert {name: path.read_bytes() for name, path in now.items()}.items() <= whole.items()
        inodes = {name: path.stat().st_ino for name, path in now.items()}
        assert complete.items() <= inodes.items()
        complete = inodes
        if process.returncode == 0:
            assert len(complete) == 4
        if len(complete) == 4:
            runs += 1
            complete = {}
            folder = shutil.copytree(a_set, tmp_path / f"set{runs}")
    last = begin(folder, 12)
    assert last.communicate()[1] == "" and last.returncode == 0
    there = {path.name for path in (folder / OUTPUT).iterdir()}
    assert there == {*whole, "README.md", "card.json", "gripper.toml"}
    assert all((folder / OUTPUT / name).read_bytes() == each for name, each in whole.items())
    card = json.loads((folder / OUTPUT / "card.json").read_text())
    assert {**card, "date": ""} == {**labelled[1].card, "date": ""}


@pytest.mark.extras
@needs_linux
@pytest.mark.parametrize("moment", ["start", "work"])
def test_control_c_ends_all_processes_without_a_word(a_set, tmp_path, moment):
    """The exit code is 130; the interrupt reaches the whole group, as it does in a terminal."""
    folder = shutil.copytree(a_set, tmp_path / "set")
    process = begin(folder, 100)
    if moment == "start":
        until(process, lambda: len(pids(process)) >= 3)  # one belongs to Python itself
    else:
        until(process, lambda: len(h5_files(folder)) > 0)
    workers = children(process)
    assert len(workers) >= 3
    os.killpg(process.pid, signal.SIGINT)
    assert ended(workers)
    assert process.communicate() == ("", "")
    assert process.returncode == 130


@needs_linux
def test_a_worker_ends_with_its_parent_whatever_it_is_doing():
    """The worker would wait for ever, and the parent is killed."""
    command = "from tests.datasets.labels import work; work.wait_in_a_worker()"
    parent = subprocess.Popen(
        [sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    handle = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    assert ended([handle])
    parent.communicate()


def test_the_error_about_a_dead_worker_names_its_object(jobs):
    with pytest.raises(InputError, match="that labelled b was killed, probably because memory"):
        list(on_cores(work.die_of_b, jobs, 1))
    with pytest.raises(InputError, match="b ended with exit code 3; a new run labels the missing"):
        list(on_cores(work.leave_at_b, jobs, 1))


def test_each_object_is_done_once_by_as_many_processes_as_asked_for(jobs):
    results = list(on_cores(work.answer, jobs, 2))
    assert sorted(job.name for job, _ in results) == list("abcde")
    assert all(text.startswith(f"{job.name} in ") for job, text in results)
    assert 1 <= len({text.split()[-1] for _, text in results}) <= 2


def test_each_process_computes_with_one_thread(jobs, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert {text for _, text in on_cores(work.threads, jobs[:1], 1)} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"


@needs_linux
def test_processes_that_a_worker_started_end_with_it(jobs):
    """An object's loader, for example, may run in a process of its own."""
    results = on_cores(work.start_child, jobs, 1)
    _, pid = next(results)
    handle = os.pidfd_open(int(pid))
    results.close()
    assert ended([handle])
