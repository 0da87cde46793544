"""Damaged HDF5 files are refused with one sentence that names the file and the problem."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from grasp.formats import acronym, read_grasps, write_grasps
from pcdiff.errors import InputError
from tests.formats.refusals import refusal


def write_acronym(path, changes):
    """Write a valid ACRONYM file with some datasets replaced, or omitted if None."""
    datasets = {
        "grasps/transforms": np.tile(np.eye(4), (5, 1, 1)),
        "grasps/qualities/flex/object_in_gripper": np.array([0, 1, 1, 0, 1]),
        "object/file": "mug.obj",
        "object/scale": 1.0,
        "gripper/type": "panda",
    } | changes
    with h5py.File(path, "w") as file:
        for name, value in datasets.items():
            if value is not None:
                file[name] = value
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"grasps/transforms": None},
            "must have the dataset grasps/transforms, but the file contains",
        ),
        ({"grasps/transforms": np.ones((5, 4))}, "shape (n, 4, 4), got float64 of shape (5, 4)"),
        ({"grasps/transforms": np.ones((5, 3, 4))}, "shape (n, 4, 4)"),
        ({"grasps/transforms": np.full((5, 4, 4), np.nan)}, "pose of grasp 0 has a number"),
        ({"grasps/transforms": np.ones((5, 4, 4))}, "last row of the pose of grasp 0"),
        ({"grasps/transforms": np.tile(np.diag([2.0, 2, 2, 1]), (5, 1, 1))}, "not orthonormal"),
        ({"grasps/transforms": "many"}, "must contain numbers, got object"),
        (
            {"grasps/transforms": np.ones((5, 4, 4), complex)},
            "must contain numbers, got complex128",
        ),
        ({"grasps/transforms": np.empty((0, 4, 4))}, "one success for each of the 0 grasps"),
        (
            {"grasps/qualities/flex/object_in_gripper": np.ones(4)},
            "one success for each of the 5 grasps, got shape (4,)",
        ),
        ({"grasps/qualities/flex/object_in_gripper": np.full(5, 2)}, "only contain 0 and 1, got 2"),
        ({"grasps/qualities/flex/object_in_gripper": np.full(5, np.nan)}, "got nan"),
        ({"object/scale": 0.0}, "object_scale must be positive"),
        ({"object/scale": np.ones(3)}, "object/scale must be one number, got shape (3,)"),
        ({"object/com": [0, np.nan, 0]}, "center_of_mass must be three finite numbers"),
        ({"object/mass": np.inf}, "mass must be positive and finite, got inf"),
        ({"object/com": np.ones(2)}, "object/com must be three numbers, got shape (2,)"),
        ({"object/file": 3.0}, "object/file must be text"),
        ({"gripper/type/name": "panda", "gripper/type": None}, "gripper/type must be a dataset"),
    ],
)
def test_broken_acronym_is_refused(changes, sentence, tmp_path):
    assert sentence in refusal(write_acronym(tmp_path / "g.h5", changes))


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"version": 2}, "the version of the file must be at most 1, got 2"),
        ({"version": "one"}, "the version of the file must be 1, got 'one'"),
        ({"frame": "world"}, "got 'world'"),
        ({"unit": "parsec"}, "got 'parsec'"),
        ({"protocol": 3.5}, "protocol must be text, got 3.5"),
    ],
)
def test_broken_additions_to_acronym_are_refused(attributes, sentence, grasps, tmp_path):
    path = tmp_path / "g.h5"
    write_grasps(path, grasps)
    with h5py.File(path, "a") as file:
        file["pcdiff_grasp"].attrs.update(attributes)
    assert sentence in refusal(path)


def test_acronym_without_grasps_needs_a_reason(tmp_path):
    changes = {
        "grasps/transforms": np.empty((0, 4, 4)),
        "grasps/qualities/flex/object_in_gripper": np.empty(0),
    }
    assert "contains neither grasps nor a reason" in refusal(
        write_acronym(tmp_path / "g.h5", changes)
    )


def test_files_that_are_not_acronym_hdf5_are_refused(tmp_path):
    path = tmp_path / "g.h5"
    path.write_bytes(b"")
    assert "not an HDF5 file" in refusal(path)
    path.write_text("{}")
    assert "not an HDF5 file" in refusal(path)
    with h5py.File(path, "w"):
        pass
    assert "must have the dataset grasps/transforms, but the file is empty" in refusal(path)


@pytest.mark.extras
def test_truncated_or_damaged_hdf5_is_refused_or_read_completely(grasps, tmp_path):
    path = tmp_path / "g.h5"
    write_grasps(path, grasps)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:length])
        refusal(path)
    rng = np.random.default_rng(0)
    for _ in range(30):  # the record stays valid unless the damage is detected
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] ^= 0xFF
        path.write_bytes(broken)
        try:
            read_grasps(path)
        except InputError as error:
            assert str(path) in str(error)


def test_hdf5_that_declares_too_many_grasps_is_not_read(tmp_path):
    path = tmp_path / "g.h5"
    with h5py.File(path, "w") as file:  # declares 128 GB but stores nothing
        file.create_dataset(
            "grasps/transforms", (10**9, 4, 4), np.float64, chunks=(1000, 4, 4), fillvalue=0
        )
    assert f"must have at most {16 * acronym.MOST_GRASPS} entries, got shape" in refusal(path)


@pytest.mark.parametrize(
    ("sampler", "sentence"),
    [
        ("9" * 5000, "the sampler in the file cannot be read: the text is not JSON"),
        ("{", "the sampler in the file cannot be read: the text is not JSON"),
        ('{"seed": 0, "seed": 1}', "the sampler in the file cannot be read: "),
        ("[]", "sampler must be a mapping"),
    ],
)
def test_a_damaged_sampler_is_refused(sampler, sentence, grasps, tmp_path):
    path = tmp_path / "g.h5"
    write_grasps(path, grasps)
    with h5py.File(path, "a") as file:
        (place,) = (name for name in _names(file) if name.endswith("/sampler"))
        del file[place]
        file[place] = sampler
    assert sentence in refusal(path)


def _names(file: h5py.File) -> list[str]:
    """The names of all groups and datasets of a file."""
    names: list[str] = []
    file.visit(names.append)
    return names
