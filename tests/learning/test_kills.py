"""A run that is killed or finds the disk full loses at most the work since its checkpoint."""

from __future__ import annotations

import csv
import shutil
import signal
from multiprocessing.connection import wait

import numpy as np
import pytest
from torch import Tensor

from pcdiff.clouds.canonical import write_clouds
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.learning import checkpoint
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.trainer import BEST, LAST, LOG, train
from tests import tiny
from tests.learning import workers

KILLS, STEPS = 20, 40
CONFIG = TrainingConfig(
    steps=3, batch_size=3, learning_rate=0.1, warmup_steps=0, validate_every=1, bfloat16=False
)


def received(report) -> list[int]:
    """Everything that a finished process has reported."""
    steps = []
    try:
        while report.poll():
            steps.append(report.recv())
    except EOFError:
        pass
    return steps


@pytest.fixture(scope="module")
def uninterrupted(fork_server, tmp_path_factory) -> tuple[dict[str, Tensor], list[dict[str, str]]]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    ours, theirs = fork_server.Pipe(duplex=False)
    process = fork_server.Process(target=workers.train_clouds, args=(folder, STEPS, theirs))
    process.start()
    theirs.close()
    process.join()
    assert process.exitcode == 0
    assert received(ours) == list(range(STEPS + 1))
    ours.close()
    process.close()
    return tiny.state(folder)[1], tiny.log(folder)


@pytest.mark.extras
def test_twenty_kills_at_random_moments(fork_server, start, tmp_path, uninterrupted):
    """Each reported checkpoint survives, every file is complete, and the result is bit-identical.

    A process is killed at a random time after it has reported a random number of checkpoints, so
    it may be starting, reading, training, validating or writing. If a run ends before it is killed,
    a new one begins in another folder.
    """
    rng = np.random.default_rng(0)
    kills, runs, reached = 0, 0, 0
    folder = tmp_path / "0"
    while kills < KILLS:
        ours, theirs = fork_server.Pipe(duplex=False)
        process = start(workers.train_clouds, folder, STEPS, theirs)
        theirs.close()
        steps = []
        for _ in range(rng.integers(4)):
            if ours.poll(60):
                try:
                    steps.append(ours.recv())
                except EOFError:
                    break
        wait([process.sentinel], timeout=rng.uniform(0, 0.03))
        process.kill()
        process.join()
        steps += received(ours)
        ours.close()
        assert process.exitcode in (0, -signal.SIGKILL)
        kills += process.exitcode != 0

        if (folder / LAST).exists():
            step = tiny.state(folder)[0]
            assert step >= max([reached, *steps])
            reached = step
            PointCloudGenerator.from_pretrained(folder / BEST)
            with (folder / LOG).open(newline="") as file:
                logged = [float(row["step"]) for row in csv.DictReader(file)]
            assert logged[:reached] == list(range(1, reached + 1))
        else:
            assert max([reached, *steps]) == 0
        if process.exitcode == 0:
            assert reached == STEPS
            runs += 1
            folder, reached = tmp_path / str(runs), 0

    ours, theirs = fork_server.Pipe(duplex=False)
    process = start(workers.train_clouds, folder, STEPS, theirs)
    theirs.close()
    process.join()
    ours.close()
    for run in tmp_path.iterdir():
        assert tiny.same(tiny.state(run)[1], uninterrupted[0])
        assert tiny.log(run) == uninterrupted[1]


@pytest.mark.extras
def test_a_kill_before_every_operation_on_a_file(start, tmp_path):
    """A run is killed before each of the file operations of one checkpoint in turn.

    The files are those from before or after this checkpoint, and the resumed run is bit-identical.
    """
    begun, straight = tmp_path / "begun", tmp_path / "straight"
    tiny.run(train(tiny.Regression(), CONFIG, begun), until=1)
    tiny.run(train(tiny.Regression(), CONFIG, straight))
    exit_codes, steps_of_best = [], set()
    for event in range(100):
        folder = tmp_path / str(event)
        shutil.copytree(begun, folder)
        process = start(workers.train_until_file_event, folder, CONFIG, event)
        process.join()
        exit_codes.append(process.exitcode)
        assert tiny.state(folder)[0] in (2, 3)
        header, _ = checkpoint.load(folder / BEST, "regression")
        steps_of_best.add(header["training"]["step"])
        tiny.run(train(tiny.Regression(), CONFIG, folder, resume=True))
        assert tiny.same(tiny.state(folder)[1], tiny.state(straight)[1])
        assert tiny.log(folder) == tiny.log(straight)
        best = (checkpoint.load(run / BEST, "regression")[1] for run in (folder, straight))
        assert tiny.same(*best)
        if exit_codes[-1] == 0:
            break
    assert exit_codes == [-signal.SIGKILL] * (len(exit_codes) - 1) + [0]
    assert len(exit_codes) > 15 and steps_of_best == {2, 3}


@pytest.mark.extras
def test_a_disk_that_fills_up_costs_no_checkpoint(start, tmp_path):
    """The earlier checkpoint survives, and with free space again the result is bit-identical."""
    tiny.generator().save(tmp_path / "weights.safetensors")
    splits = {"train": tiny.clouds(6), "val": tiny.clouds(3, seed=1)}
    write_clouds(tmp_path / "clouds.hdf5", {"chair": splits})
    errors = tmp_path / "errors"

    def pcdiff_train(output, *options, fills_up=False):
        arguments = ["train", tmp_path / "clouds.hdf5", "--output", output, *options]
        arguments += ["--initialize-from", tmp_path / "weights.safetensors", "--points", 16]
        arguments += ["--steps", 6, "--batch-size", 3, "--validate-every", 2]
        process = start(workers.command, [str(each) for each in arguments], errors, fills_up)
        process.join()
        return process.exitcode

    full, roomy = tmp_path / "full", tmp_path / "roomy"
    assert pcdiff_train(full, fills_up=True) == 2
    (sentence,) = errors.read_text().splitlines()
    assert sentence == f"error: cannot write {full / BEST}: File too large"
    assert tiny.state(full)[0] == 2
    assert sorted(path.name for path in full.iterdir()) == [BEST, LAST, LOG]

    assert pcdiff_train(full, "--resume") == 0
    assert pcdiff_train(roomy) == 0
    assert tiny.same(tiny.state(full)[1], tiny.state(roomy)[1])
    assert tiny.log(full) == tiny.log(roomy)
