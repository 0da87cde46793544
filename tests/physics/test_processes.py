"""The processes of trials: calls share them, and an interrupt ends them quietly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from grasp.grippers.gripper import Gripper
from grasp.physics import (
    cores,
    processes,
    simulate,
    workers,
)
from pcdiff.errors import InputError
from tests.physics.conftest import box, hold

ROOT = Path(__file__).resolve().parents[2]


def _poses(count: int) -> np.ndarray:
    """Poses around a box of 3 x 5 x 7 cm, good and bad."""
    points = np.random.default_rng(5).uniform(-1, 1, (count, 3)) * [0.02, 0.03, 0.045]
    return np.stack([hold(tuple(point)) for point in points.tolist()])


def test_several_calls_share_one_pool(panda: Gripper, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that fails shares the pool, too, and leaves it usable for the others."""
    made: list[int] = []

    class Counted(workers.ProcessPoolExecutor):
        def __init__(self, count: int, **options: object) -> None:
            made.append(count)
            super().__init__(count, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(workers, "ProcessPoolExecutor", Counted)
    poses, obj = _poses(60), box(0.03, 0.05, 0.07)

    def stop(done: int) -> None:
        raise InterruptedError

    with processes(2) as pool:
        first = simulate(obj, panda, poses, pool=pool)
        with pytest.raises(InterruptedError):
            simulate(obj, panda, poses, pool=pool, progress=stop)
        second = simulate(obj, panda, poses[::-1], pool=pool)
    assert made == [2]
    alone = simulate(obj, panda, poses)
    assert first.width.tolist() == alone.width.tolist() == second.width[::-1].tolist()
    with processes(1) as pool:
        assert pool is None
    with pytest.raises(InputError, match="at least 1 worker, got 0"), processes(0):
        pass


def test_cores_counts_the_cores_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 64


INTERRUPTED = """
import os, pathlib, signal, sys
import numpy as np
import trimesh

if __name__ == "__mp_main__":  # In a new worker: interrupt all processes, once.
    try:
        pathlib.Path(sys.argv[1]).touch(exist_ok=False)
        os.killpg(0, signal.SIGINT)
    except FileExistsError:
        pass

from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.physics import simulate

def main():
    mesh = trimesh.creation.box((0.03, 0.03, 0.03))
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces)
    obj = Object.from_mesh(vertices, faces, name="box", parts=((vertices, faces),))
    poses = np.tile(np.eye(4), (200, 1, 1))
    poses[:, 2, 3] = -0.1034
    try:
        simulate(obj, load_gripper("panda"), poses, workers=2)
    except KeyboardInterrupt:
        raise SystemExit(130)

if __name__ == "__main__":
    main()
"""


@pytest.mark.extras
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")
def test_an_interrupted_worker_prints_nothing(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(INTERRUPTED)
    done = subprocess.run(
        [sys.executable, program, tmp_path / "interrupted"],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (tmp_path / "interrupted").exists()
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs masks of signals")
def test_an_interrupt_waits_until_a_process_has_started() -> None:
    """Even if another thread, which does not block the signal, receives it."""
    reached, over = [], threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    told, telling = socket.socketpair()
    telling.setblocking(False)
    before = signal.set_wakeup_fd(telling.fileno())
    try:
        with pytest.raises(KeyboardInterrupt), workers.no_interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            told.recv(1)  # the signal has arrived
            reached.append(True)
    finally:
        signal.set_wakeup_fd(before)
        for each in (told, telling):
            each.close()
        over.set()
        thread.join()
    assert reached
