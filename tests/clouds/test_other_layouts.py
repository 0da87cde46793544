"""HDF5 files of another layout: the message says what was found and what would be readable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.errors import InputError

CHAIR = "03001627"


def clouds(*sizes) -> dict[str, np.ndarray]:
    return {str(i): np.ones((size, 3), np.float32) for i, size in enumerate(sizes)}


def write(path, contents) -> None:
    with h5py.File(path, "w") as file:
        for name, array in contents.items():
            file[name] = array


LAYOUTS = {
    "unequal clouds": (
        {f"{CHAIR}/train/{name}": cloud for name, cloud in clouds(300, 310, 350).items()},
        f"/{CHAIR}/train holds 3 datasets, which are clouds of 300 to 350 points: draw the same "
        "number of points from each cloud, and store the clouds as one floating-point dataset "
        "/{synset id}/{train|val|test} of shape (shapes, points, 3)",
    ),
    "equal clouds": (
        {f"{CHAIR}/train/{name}": cloud for name, cloud in clouds(9, 9).items()},
        f"/{CHAIR}/train holds 2 datasets, which are clouds of 9 points each: store the clouds as",
    ),
    "clouds at the top": (clouds(4, 5), "/ holds 2 datasets, which are clouds of 4 to 5 points"),
    "one dataset": (
        {"data": np.ones((7, 9, 3), np.float32), "label": np.arange(7)},
        "/data has the shape (7, 9, 3): store its clouds as one floating-point dataset",
    ),
    "a dataset with normals": (
        {"a/data": np.ones((7, 9, 6), np.float32)},
        "/a/data has the shape (7, 9, 6): store x, y and z of its clouds as one",
    ),
    "no clouds": (
        {"a/b/c": np.arange(5)},
        "/a/b/c has the shape (5,) and the type int64, expected one floating-point dataset",
    ),
    "groups only": ({}, "the file is empty"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_layout_is_described(layout, tmp_path):
    contents, words = LAYOUTS[layout]
    path = tmp_path / "a.hdf5"
    write(path, contents)
    for read in (categories, lambda path: read_clouds(path, "chair", "train")):
        with pytest.raises(InputError) as caught:
            read(path)
        assert "does not have the layout /{synset id}/{train|val|test}" in str(caught.value)
        assert words in str(caught.value) and "\n" not in str(caught.value)


def test_ragged_dataset(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        kind = h5py.vlen_dtype(np.float32)
        ragged = file.create_dataset(f"{CHAIR}/train", (2,), kind)
        ragged[0], ragged[1] = np.ones(9, np.float32), np.ones(12, np.float32)
    with pytest.raises(InputError, match="clouds of unequal numbers of points: draw the same"):
        read_clouds(path, "chair", "train")


@pytest.mark.parametrize("split", ["train", "val"])
def test_one_split_or_category_of_another_layout(split, tmp_path):
    path = tmp_path / "a.hdf5"
    sound = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float32)
    unequal = {f"{CHAIR}/val/{name}": cloud for name, cloud in clouds(8, 9).items()}
    name = f"{CHAIR}/train" if split == "val" else "03797390/train"
    write(path, {name: sound, **unequal})
    with pytest.raises(
        InputError, match=r"another layout under /03001627.* of 8 to 9 points: draw"
    ):
        read_clouds(path, "chair", split)


def test_links_are_not_followed(tmp_path):
    write(tmp_path / "other.hdf5", {"secret": np.ones((2, 9, 3), np.float32)})
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["data"] = h5py.ExternalLink("other.hdf5", "/secret")
        file["again"] = h5py.SoftLink("/data")
        file["round"] = file["/"]
    with pytest.raises(InputError) as caught:
        categories(tmp_path / "a.hdf5")
    assert "(2, 9, 3)" not in str(caught.value)
