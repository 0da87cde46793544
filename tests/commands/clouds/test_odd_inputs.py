"""`pcdiff` says how an odd file was read, and what would make a file of clouds readable."""

from __future__ import annotations

import h5py
import numpy as np


def test_train_on_unequal_clouds(pcdiff, tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        for index in range(6):
            file[f"03001627/train/{index}"] = np.ones((300 + 10 * index, 3), np.float32)
    result = pcdiff("train", path, "--category", "chair", "--output", tmp_path / "run")
    assert result.code == 2 and len(result.err.splitlines()) == 1
    assert "/03001627/train holds 6 datasets, which are clouds of 300 to 350 points" in result.err
    assert "draw the same number of points from each cloud" in result.err


def test_reconstruct_an_odd_cloud(pcdiff, no_pictures, files, tmp_path):
    points = np.random.default_rng(0).normal(size=(60, 3))
    points[7] = np.nan
    rows = [f"{x};{y};{z};12" for x, y, z in points.tolist()]
    cloud = tmp_path / "a.txt"
    cloud.write_text("\n".join(["X;Y;Z;Intensity", *rows]))
    result = pcdiff(
        "reconstruct", cloud, "--weights", files["weights"], "--points", 16, "--steps", 2,
        "--output", tmp_path,
    )  # fmt: skip
    assert result.code == 0
    assert result.err.splitlines()[-2:] == [
        f"{cloud}: the first line names the columns x y z; intensity ignored",
        f"{cloud}: left out 1 of 60 points: not finite",
    ]
