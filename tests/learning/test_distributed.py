"""Several processes train the same model as one process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from pcdiff import cli, console
from pcdiff.clouds.canonical import write_clouds
from pcdiff.learning import checkpoint, distributed
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.trainer import BEST, LAST, LOG, train
from tests import tiny
from tests.learning import workers

CONFIG = TrainingConfig(
    steps=6, batch_size=4, learning_rate=0.02, warmup_steps=2, validate_every=3, bfloat16=False
)


def assert_close(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=tolerance, atol=tolerance)


def together(start, kind, config, tmp_path):
    ranks = [
        start(workers.train_together, rank, 2, tmp_path / "store", kind, config, tmp_path / "two")
        for rank in range(2)
    ]
    for process in ranks:
        process.join()
    return [process.exitcode for process in ranks]


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("regression", 1e-12), ("flow", 1e-5), ("none", 1e-5)]
)
def test_two_processes_share_a_batch(start, tmp_path, kind, tolerance):
    """Weights, averages, moments and the log agree up to rounding.

    Without a prior ("none") a head of the encoder has no gradient, and no process may wait for it.
    """
    task = tiny.Regression() if kind == "regression" else tiny.cloud_objective(kind)
    tiny.run(train(task, CONFIG, tmp_path / "one"))
    assert together(start, kind, CONFIG, tmp_path) == [0, 0]
    assert_close(tiny.state(tmp_path / "two")[1], tiny.state(tmp_path / "one")[1], tolerance)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == [BEST, LAST, LOG]
    for ours, theirs in zip(tiny.log(tmp_path / "two"), tiny.log(tmp_path / "one"), strict=True):
        assert ours.keys() == theirs.keys()
        for name, text in ours.items():
            assert float(text) == pytest.approx(float(theirs[name]), rel=10 * tolerance), name


def test_one_process_goes_on_where_two_were(start, tmp_path):
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "one"))
    assert together(start, "regression-until-4", CONFIG, tmp_path) == [0, 0]
    assert tiny.state(tmp_path / "two")[0] == 3
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path / "two", resume=True))
    assert_close(tiny.state(tmp_path / "two")[1], tiny.state(tmp_path / "one")[1], 1e-12)


def test_a_batch_that_cannot_be_shared_is_refused(start, tmp_path):
    assert together(start, "regression", replace(CONFIG, batch_size=3), tmp_path) == [0, 0]
    for rank in range(2):
        sentence = (tmp_path / f"refusal-{rank}").read_text()
        assert sentence == "batch_size must be a multiple of the number of processes, 2, got 3"
    assert not (tmp_path / "two").exists()


def test_torchrun_starts_the_command(tmp_path):
    """The command in the help text gives the same result as the command in one process."""
    tiny.generator().save(tmp_path / "weights.safetensors")
    splits = {"train": tiny.clouds(6), "val": tiny.clouds(3, seed=1)}
    write_clouds(tmp_path / "clouds.hdf5", {"chair": splits})
    arguments = ["train", tmp_path / "clouds.hdf5", "--points", 16, "--batch-size", 4]
    arguments += ["--initialize-from", tmp_path / "weights.safetensors", "--no-bfloat16"]
    arguments += ["--steps", 4, "--validate-every", 2, "--json", "--output"]
    arguments = [str(each) for each in arguments]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "-m", "pcdiff", *arguments, tmp_path / "two"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"command": "pcdiff train"') == 1
    with pytest.raises(SystemExit) as ended:
        console.run(cli.app, [*arguments, str(tmp_path / "one")])
    assert ended.value.code == 0
    kind = "point-cloud-generator"
    two, one = (checkpoint.load(tmp_path / run / BEST, kind)[1] for run in ("two", "one"))
    assert_close(two, one, 1e-5)
    assert [row["step"] for row in tiny.log(tmp_path / "two")] == ["2.0", "4.0"]


def test_each_process_gets_a_gpu_of_its_own(monkeypatch):
    """Stand-ins record the calls of torch, so no GPU is needed."""
    asked = []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "0")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", asked.append)
    monkeypatch.setattr(torch.distributed, "barrier", lambda: asked.append("all are done"))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: asked.append("end"))
    with distributed.processes("cuda"):
        asked.append("body")
    assert asked == [3, "nccl", "body", "all are done", "end"]


def test_without_torchrun_there_is_one_process_and_it_writes(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with distributed.processes("cpu"):
        assert not torch.distributed.is_initialized()
        assert distributed.is_first()
