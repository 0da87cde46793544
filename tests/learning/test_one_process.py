"""One process writes into the folder of a run; an interrupted one says how to continue."""

from __future__ import annotations

import dataclasses

import pytest

from pcdiff.clouds.canonical import write_clouds
from pcdiff.errors import InputError
from pcdiff.learning.configuration import TrainingConfig
from pcdiff.learning.trainer import BEST, LAST, LOG, check_run, train
from pcdiff.locks import LOCK, only_process
from tests import tiny
from tests.learning import workers

CONFIG = TrainingConfig(
    steps=3, batch_size=3, learning_rate=0.1, warmup_steps=0, validate_every=1, bfloat16=False
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_held_until_the_block_ends(tmp_path):
    folder = tmp_path / "new" / "run"
    with only_process(folder):
        assert names(folder) == [LOCK]
        with pytest.raises(InputError, match=f"another process writes into {folder}: wait"):
            only_process(folder).__enter__()
    assert names(folder) == []
    with pytest.raises(KeyError), only_process(folder):
        raise KeyError
    assert names(folder) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"cannot write into .*file.run: Not a directory"),
        only_process(tmp_path / "file" / "run"),
    ):
        pass


def test_another_process_keeps_a_run_out_until_it_is_killed(fork_server, start, tmp_path):
    ours, theirs = fork_server.Pipe()
    process = start(workers.hold, tmp_path, theirs)
    assert ours.recv() == "held"
    refused = f"another process writes into {tmp_path}"
    with pytest.raises(InputError, match=refused):
        next(train(tiny.Regression(), CONFIG, tmp_path))
    with pytest.raises(InputError, match=refused):
        check_run(tmp_path, CONFIG)
    assert names(tmp_path) == [LOCK]
    process.kill()
    process.join()
    assert names(tmp_path) == [LOCK]  # an empty file without a lock
    tiny.run(train(tiny.Regression(), CONFIG, tmp_path))
    assert names(tmp_path) == [BEST, LAST, LOG]


def test_of_runs_that_start_together_one_trains(fork_server, start, tmp_path):
    """The others are refused, and the files are those of a single run."""
    pipes = [fork_server.Pipe(duplex=False) for _ in range(4)]
    folder, alone = tmp_path / "run", tmp_path / "alone"
    for _, theirs in pipes:
        start(workers.train_regression, folder, CONFIG, theirs)
    ends = sorted(ours.recv() for ours, _ in pipes)
    assert ends.count("trained") == 1
    assert all("another process writes" in end or "already contains" in end for end in ends[:-1])
    tiny.run(train(tiny.Regression(), CONFIG, alone))
    assert tiny.same(tiny.state(folder)[1], tiny.state(alone)[1])
    assert tiny.log(folder) == tiny.log(alone)
    assert names(folder) == [BEST, LAST, LOG]


def test_a_run_is_checked_before_its_data_are_prepared(tmp_path):
    folder = tmp_path / "run"
    check_run(folder, CONFIG)
    assert not folder.exists()
    tiny.run(train(tiny.Regression(), CONFIG, folder), until=1)
    with pytest.raises(InputError, match="already contains a run"):
        check_run(folder, CONFIG)
    check_run(folder, CONFIG, resume=True)
    check_run(folder, dataclasses.replace(CONFIG, micro_batch=1), resume=True)
    with pytest.raises(
        InputError, match=r"training\.batch_size must be 3 as in the saved run, got 4"
    ):
        check_run(folder, dataclasses.replace(CONFIG, batch_size=4), resume=True)
    (folder / LAST).write_bytes((folder / LAST).read_bytes()[:100])
    with pytest.raises(InputError, match="expected a complete safetensors file"):
        check_run(folder, CONFIG, resume=True)
    assert names(folder) == [BEST, LAST, LOG]


def test_control_c_says_how_to_continue(start, tmp_path):
    tiny.generator().save(tmp_path / "weights.safetensors")
    splits = {"train": tiny.clouds(6), "val": tiny.clouds(3, seed=1)}
    write_clouds(tmp_path / "my clouds.hdf5", {"chair": splits})
    run, errors = tmp_path / "run", tmp_path / "errors"
    given = f"--output {run} --initialize-from {tmp_path}/weights.safetensors --points 16"
    words = ["train", str(tmp_path / "my clouds.hdf5"), *given.split()]
    words += ["--steps", "6", "--batch-size", "3", "--validate-every", "2"]
    process = start(workers.interrupted_command, words, errors)
    process.join()
    assert process.exitcode == 130
    said = errors.read_text().strip()
    command = f"pcdiff train '{tmp_path}/my clouds.hdf5' {given} "
    command += "--steps 6 --batch-size 3 --validate-every 2 --resume"
    assert said == f"interrupted; to continue, run: {command}"
    assert tiny.state(run)[0] == 2
    assert names(run) == [BEST, LAST, LOG]
