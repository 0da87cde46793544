"""Labels from several machines, here two nodes of a Ray cluster on one machine."""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from pathlib import Path

import pytest

from datasets.labels import label_folder
from pcdiff.errors import InputError
from tests.datasets.labels import limited

ROOT = Path(__file__).resolve().parents[3]
OUTPUT = Path("grasps") / "panda"
SECONDS = 55
"""Time limit for two nodes to start, meet and label; they take 15 s on an idle machine."""

# Starts a process in its own session, which holds this program's output; writes its id, then waits.
HANGS = """
import pathlib, signal, subprocess, sys
wait = "import signal; signal.pause()"
child = subprocess.Popen([sys.executable, "-c", wait], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
print("it waits", flush=True)
if sys.argv[2] == "hang":
    signal.pause()
"""


@pytest.mark.extras
def test_two_machines_make_the_labels_of_one(labelled, a_set, tmp_path):
    """Two nodes that work at the same time write the same files to the last bit."""
    pytest.importorskip("ray", reason="needs Ray, the extra `ray`")
    folder = shutil.copytree(a_set, tmp_path / "set")
    catalogue = json.loads((folder / "catalogue.json").read_text())
    catalogue["objects"] = catalogue["objects"][:2]
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    os.mkfifo(meeting / "pipe")
    command = [sys.executable, "-m", "tests.datasets.labels.ray_cluster", folder, meeting]
    limited.run(command, ROOT, tmp_path / "log", SECONDS)
    assert len({path.name for path in meeting.iterdir()} - {"pipe"}) == 2
    made = {path.name: path.read_bytes() for path in (folder / OUTPUT).glob("*.h5")}
    assert set(made) == {f"{each['name']}.h5" for each in catalogue["objects"]}
    whole = {path.name: path.read_bytes() for path in (labelled[0] / OUTPUT).glob("*.h5")}
    assert made.items() <= whole.items()


@pytest.mark.extras
@pytest.mark.skipif(
    not Path("/proc/self/environ").exists() or not hasattr(os, "pidfd_open"),
    reason="needs Linux, which shows the environment of a process",
)
@pytest.mark.parametrize("what", ["hang", "leave"])
def test_nothing_that_a_program_starts_outlives_its_time(tmp_path, monkeypatch, what):
    """The test above relies on this: servers end, whether their program finishes or hangs."""
    pid = tmp_path / "pid"
    command = [sys.executable, "-c", HANGS, pid, what]
    handles = []
    end_all = limited.end_all

    def watched(mark):
        handles.append(os.pidfd_open(int(pid.read_text())))  # it is certainly still alive here
        end_all(mark)

    monkeypatch.setattr(limited, "end_all", watched)
    if what == "hang":
        with pytest.raises(pytest.fail.Exception, match="not done in 3 s: it waits"):
            limited.run(command, tmp_path, tmp_path / "log", 3)
    else:
        limited.run(command, tmp_path, tmp_path / "log", 20)
    (handle,) = handles
    assert select.select([handle], [], [], 20)[0]
    os.close(handle)


def test_without_ray_one_sentence_says_what_to_install(a_set, settings, tmp_path, monkeypatch):
    folder = shutil.copytree(a_set, tmp_path / "set")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"Ray is not installed here: .*pcdiff-grasp\[ray\]"):
        label_folder(folder, settings, cluster="local")
