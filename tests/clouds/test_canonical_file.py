"""The canonical HDF5 file: it returns exactly what was written, and damage is refused."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch

from pcdiff.clouds.canonical import categories, cloud_writer, read_clouds, write_clouds
from pcdiff.clouds.categories import SYNSETS
from pcdiff.errors import InputError

CHAIR, PLANE = "03001627", "02691156"


def clouds(shapes: int = 2, points: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(shapes, points, 3)).astype(np.float32)


def hdf5(path, datasets):
    with h5py.File(path, "w") as file:
        for name, data in datasets.items():
            file[name] = data
    return path


def refusal(call, *arguments) -> str:
    """The one sentence of the `InputError` that a call raises."""
    with pytest.raises(InputError) as caught:
        call(*arguments)
    message = str(caught.value)
    assert "\n" not in message and ". " not in message
    return message


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "clouds.hdf5"
    train, test, plane = clouds(seed=1), clouds(3, 5, seed=2), clouds(1, 2, seed=3)
    write_clouds(path, {"chair": {"train": train, "test": torch.from_numpy(test)}})
    assert np.array_equal(read_clouds(path, "chair", "train"), train)
    assert np.array_equal(read_clouds(path, CHAIR, "test"), test)
    write_clouds(path, {PLANE: {"val": plane}}, {"source": "made up", "points": 2})
    assert np.array_equal(read_clouds(path, "airplane", "val"), plane)
    assert categories(path) == {PLANE: {"val": 1}}
    with h5py.File(path) as file:
        assert dict(file.attrs) == {"source": "made up", "points": 2}


def test_a_file_in_the_layout_of_shapenet_hdf5_is_read_as_it_is(tmp_path):
    """The file is made with h5py alone; other groups, datasets and attributes are ignored."""
    train, val = clouds(3, 6, seed=1), clouds(2, 6, seed=2)
    path = hdf5(
        tmp_path / "shapenet.hdf5",
        {
            f"{CHAIR}/train": train,
            f"{CHAIR}/val": val,
            f"{CHAIR}/train_ids": np.arange(3),
            f"{PLANE}/test": val,
            "meta/names": np.arange(2),
            "version": np.float32(1),
        },
    )
    with h5py.File(path, "a") as file:
        file.attrs["note"] = "x"
        file[CHAIR].attrs["name"] = "chair"
    assert np.array_equal(read_clouds(path, "chair", "train"), train)
    assert categories(path) == {PLANE: {"test": 2}, CHAIR: {"train": 3, "val": 2}}


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8"])
def test_other_floating_point_types_become_float32(tmp_path, dtype):
    exact = np.array([[[0.5, -2, 0], [3, 0.25, 1]]], dtype)
    path = hdf5(tmp_path / "a.hdf5", {f"{CHAIR}/train": exact})
    read = read_clouds(path, "chair", "train")
    assert read.dtype == torch.float32
    assert read.tolist() == exact.tolist()


def test_only_the_split_asked_for_is_read(tmp_path):
    """The other split is unreadable, because its only chunk is damaged."""
    path = tmp_path / "a.hdf5"
    val = clouds(1)
    with h5py.File(path, "w") as file:
        broken = file.create_dataset(f"{CHAIR}/train", data=clouds(9), fletcher32=True)
        file[f"{CHAIR}/val"] = val
        chunk = broken.id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset] ^= 0xFF
    path.write_bytes(content)
    assert np.array_equal(read_clouds(path, "chair", "val"), val)
    assert str(path) in refusal(read_clouds, path, "chair", "train")


def test_the_table_has_the_55_categories_of_shapenetcore():
    assert len(SYNSETS) == len(set(SYNSETS.values())) == 55
    assert all(len(synset) == 8 and synset.isdigit() for synset in SYNSETS.values())
    assert (SYNSETS["chair"], SYNSETS["airplane"], SYNSETS["car"]) == (CHAIR, PLANE, "02958343")


@pytest.mark.parametrize("name", ["trash_bin", "Trash bin", "trash-bin", "02747177"])
def test_spellings_of_a_category(tmp_path, name):
    write_clouds(tmp_path / "a.hdf5", {name: {"train": clouds()}})
    assert categories(tmp_path / "a.hdf5") == {"02747177": {"train": 2}}
    assert np.array_equal(read_clouds(tmp_path / "a.hdf5", name, "train"), clouds())


def test_a_category_that_shapenet_lacks_keeps_its_name(tmp_path):
    write_clouds(tmp_path / "a.hdf5", {"toilet": {"train": clouds()}})
    assert np.array_equal(read_clouds(tmp_path / "a.hdf5", "toilet", "train"), clouds())


def test_a_missing_file_a_folder_and_a_file_of_another_format(tmp_path):
    text = tmp_path / "a.hdf5"
    text.write_text("hello")
    missing = tmp_path / "missing.hdf5"
    assert refusal(read_clouds, missing, "chair", "train") == f"{missing} does not exist"
    assert str(tmp_path) in refusal(read_clouds, tmp_path, "chair", "train")
    assert refusal(read_clouds, text, "chair", "train") == f"{text} is not an HDF5 file"
    assert refusal(categories, text) == f"{text} is not an HDF5 file"


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    path = tmp_path / "a.hdf5"
    write_clouds(path, {"chair": {"train": clouds()}})
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert str(path) in refusal(read_clouds, path, "chair", "train")


def test_damaged_bytes_give_clouds_or_one_sentence(tmp_path):
    """Whatever HDF5 does with damage, no other exception reaches the caller."""
    path = tmp_path / "a.hdf5"
    write_clouds(path, {"chair": {"train": clouds(), "val": clouds()}})
    content, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(len(content), size=3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            assert read_clouds(path, "chair", "train").isfinite().all()
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 0 < refused < 300


def test_another_layout_is_named_by_what_it_holds(tmp_path):
    path = hdf5(tmp_path / "a.hdf5", {"data": clouds(), "label": np.arange(2)})
    message = refusal(read_clouds, path, "chair", "train")
    assert str(path) in message and "data, label" in message and "/{synset id}/" in message
    assert "empty" in refusal(categories, hdf5(tmp_path / "b.hdf5", {}))


def test_a_missing_category_or_split_is_told_what_is_there(tmp_path):
    path = tmp_path / "a.hdf5"
    write_clouds(path, {"chair": {"train": clouds(), "test": clouds()}, "mug": {"val": clouds()}})
    message = refusal(read_clouds, path, "sofa", "train")
    assert message == f"{path} has no category 'sofa', only {CHAIR} (chair), 03797390 (mug)"
    message = refusal(read_clouds, path, "chair", "val")
    assert message == f"{path} has no split 'val' of category {CHAIR} (chair), only train, test"
    assert "'valid'" in refusal(read_clouds, path, "chair", "valid")


NAN = clouds()
NAN[1, 2, 0] = np.nan
HUGE = np.full((1, 2, 3), 1e300)

BAD_ARRAYS = [
    (clouds()[0], "has shape (4, 3), expected (shapes, points, 3)"),
    (clouds()[..., :2], "has shape (2, 4, 2), expected (shapes, points, 3)"),
    (np.array(1.0), "has shape ()"),
    (clouds().astype(np.int64), "has type int64, expected floating point"),
    (clouds(0), "has no shapes"),
    (clouds(2, 1), "has 1 points per shape, expected at least 2"),
    (clouds(2, 0), "has 0 points per shape, expected at least 2"),
    (NAN, "has a coordinate that is not finite in cloud 1"),
    (HUGE, "has a coordinate that is not finite in cloud 0"),
]


@pytest.mark.parametrize(("array", "reason"), BAD_ARRAYS)
def test_a_bad_dataset_is_refused_by_name(tmp_path, array, reason):
    path = hdf5(tmp_path / "a.hdf5", {f"{CHAIR}/train": array})
    message = refusal(read_clouds, path, "chair", "train")
    assert message.startswith(f"the dataset /{CHAIR}/train of {path} ") and reason in message


@pytest.mark.parametrize(("array", "reason"), BAD_ARRAYS)
def test_a_bad_array_is_not_written(tmp_path, array, reason):
    path = tmp_path / "a.hdf5"
    message = refusal(write_clouds, path, {"mug": {"val": clouds()}, "chair": {"train": array}})
    assert str(path) in message and reason in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "splits",
    [
        {},
        {"chair": {}},
        {"chair": {"valid": clouds()}},
        {"": {"train": clouds()}},
        {"a/b": {"train": clouds()}},
        {".": {"train": clouds()}},
        {"chair": {"train": clouds()}, CHAIR: {"train": clouds()}},
    ],
)
def test_what_cannot_be_a_canonical_file_is_not_written(tmp_path, splits):
    refusal(write_clouds, tmp_path / "a.hdf5", splits)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.hdf5"
    write_clouds(path, {"chair": {"train": clouds()}})
    with pytest.raises(KeyboardInterrupt), cloud_writer(path) as writer:
        writer.write("chair", "train", clouds(5))
        raise KeyboardInterrupt
    assert categories(path) == {CHAIR: {"train": 2}}
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_half_file(tmp_path):
    """A limit on the size of files acts like a full disk; it is set in another process."""
    pytest.importorskip("resource")
    program = """
import resource, sys
import numpy as np
from pcdiff.clouds.canonical import write_clouds
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_clouds(sys.argv[1], {"chair": {"train": np.ones((20, 2048, 3), np.float32)}})
except ValueError as error:
    print(type(error).__name__, error)
"""
    path = tmp_path / "a.hdf5"
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"InputError cannot write {path}: File too large\n"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_the_development_chairs_are_read(shared_data):
    path = shared_data / "modelnet10_chairs.hdf5"
    assert categories(path) == {CHAIR: {"train": 747, "val": 80, "test": 100}}
    for split, shapes in categories(path)[CHAIR].items():
        with h5py.File(path) as file:
            expected = file[f"{CHAIR}/{split}"][:]
        assert expected.shape == (shapes, 2048, 3)
        assert np.array_equal(read_clouds(path, "chair", split), expected)
