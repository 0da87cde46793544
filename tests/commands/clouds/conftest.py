"""Runs the program and keeps its exit code and output; small files to run it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from pcdiff import cli, console
from pcdiff.clouds import sampling
from pcdiff.clouds.canonical import write_clouds
from pcdiff.clouds.files import save_cloud
from tests import tiny


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def pcdiff(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """`pcdiff("sample", "--count", 3)` runs the command in this process, away from a terminal."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: Any) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            console.run(cli.app, [str(each) for each in arguments])
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grey pixel in place of each sheet, because drawing takes a second and has its own tests."""
    monkeypatch.setattr(
        sampling, "draw_clouds", lambda clouds, labels=None: np.full((1, 1, 3), 128, np.uint8)
    )


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Valid files: clouds of a category, weights, two single clouds."""
    folder = tmp_path_factory.mktemp("files")
    paths = {
        "clouds": folder / "clouds.hdf5",
        "weights": folder / "weights.safetensors",
        "autoencoder": folder / "autoencoder.safetensors",
        "a": folder / "a.ply",
        "b": folder / "b.npy",
    }
    splits = {
        "train": tiny.clouds(6),
        "val": tiny.clouds(3, seed=1),
        "test": tiny.clouds(4, seed=2),
    }
    write_clouds(paths["clouds"], {"chair": splits, "mug": {"train": splits["train"]}})
    tiny.generator().save(paths["weights"])
    tiny.generator("none").save(paths["autoencoder"])
    a, b = tiny.clouds(2, seed=3)
    save_cloud(paths["a"], a)
    save_cloud(paths["b"], b)
    return paths
