"""Folders of clouds and meshes as a canonical file.

Each shape is a box whose height, along z, is its own, or a cloud whose first coordinates are its
own. So each cloud in the file identifies its source.
"""

from __future__ import annotations

import itertools
from collections import Counter

import h5py
import numpy as np
import pytest
import trimesh

from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.clouds.conversion.folders import (
    FolderOptions,
    convert_folder,
    find_shapes,
    random_splits,
)
from pcdiff.clouds.conversion.surfaces import read_mesh, sample_surface
from pcdiff.errors import InputError


def box(path, height):
    path.parent.mkdir(parents=True, exist_ok=True)
    solid = trimesh.creation.box([2, 4, height])
    solid.apply_translation([0, 0, height / 2])
    solid.export(path)
    return path


def cloud(path, points, number, rng):
    """A cloud whose x coordinates are all different and lie from `number` to `number + 1`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = rng.uniform(size=(points, 3)).astype(np.float32)
    array[:, 0] = number + np.linspace(0, 0.9, points)
    np.save(path, array)
    return array


def converted(folder, output, **options):
    chosen = FolderOptions(**options)
    found = find_shapes(folder, chosen)
    return found, convert_folder(found, output, "tests", chosen)


def heights(path, category, split, axis=2):
    return read_clouds(path, category, split)[..., axis].amax(dim=1).round().long().tolist()


def test_a_folder_of_meshes_is_split_by_the_seed(tmp_path):
    folder = tmp_path / "boxes"
    for number in range(10):
        box(folder / f"{number}.stl", 10 + number)
    for seed in (0, 1):
        found, done = converted(folder, tmp_path / f"{seed}.hdf5", points=400, seed=seed)
        assert (found.layout, done.skipped) == ("files", [])
        assert done.shapes == {"boxes": {"train": 8, "val": 1, "test": 1}}
        assert f"0.8 : 0.1 : 0.1 are drawn with seed {seed}" in found.notes[0]
        every = [heights(tmp_path / f"{seed}.hdf5", "boxes", s) for s in ("train", "val", "test")]
        assert sorted(itertools.chain(*every)) == list(range(10, 20))
        splits = random_splits("boxes", 10, (0.8, 0.1, 0.1), seed)
        names = {s: [10 + i for i in range(10) if splits[i] == s] for s in ("train", "val", "test")}
        assert every == [names["train"], names["val"], names["test"]]
    assert random_splits("boxes", 10, (0.8, 0.1, 0.1), 0) != random_splits(
        "boxes", 10, (0.8, 0.1, 0.1), 1
    )


def test_points_on_a_mesh_are_those_of_its_surface(tmp_path):
    path = box(tmp_path / "boxes" / "a.obj", 3)
    converted(tmp_path / "boxes", tmp_path / "c.hdf5", points=50, seed=4)
    rng = np.random.default_rng([4, *b"boxes/a.obj"])
    expected = sample_surface(read_mesh(path)[0], 50, rng)
    np.testing.assert_array_equal(read_clouds(tmp_path / "c.hdf5", "boxes", "train")[0], expected)


def test_clouds_of_unequal_counts_are_resampled_and_it_is_said(tmp_path, rng):
    folder = tmp_path / "clouds"
    given = {count: cloud(folder / f"{count}.npy", count, count, rng) for count in (7, 10, 25)}
    _, done = converted(folder, tmp_path / "c.hdf5", points=10, split="train")
    assert (done.subsampled, done.repeated) == (1, 1)
    assert "1 clouds had fewer points: points were repeated" in done.text("c.hdf5", 10)
    made = {
        int(each[0, 0]): each.numpy()
        for each in read_clouds(tmp_path / "c.hdf5", "clouds", "train").unbind()
    }
    np.testing.assert_array_equal(made[10], given[10])

    def counts(array):
        return Counter(row.tobytes() for row in array)

    assert counts(made[25]) <= counts(given[25]) and len(made[25]) == 10
    # Each of the seven points is there once, and three of them twice.
    assert counts(made[7]).keys() == counts(given[7]).keys()
    assert sorted(counts(made[7]).values()) == [1] * 4 + [2] * 3


def test_category_folders_and_split_folders(tmp_path, rng):
    for name in ("chair", "Mug", "thing"):
        for number in range(4):
            cloud(tmp_path / "a" / name / f"{number}.npy", 12, number, rng)
    found, done = converted(tmp_path / "a", tmp_path / "a.hdf5", points=12)
    assert found.layout == "category folders"
    expected = {"train": 2, "val": 1, "test": 1}
    assert done.shapes == {"03001627": expected, "03797390": expected, "thing": expected}
    _, done = converted(tmp_path / "a", tmp_path / "b.hdf5", points=12, categories=("mug",))
    assert done.shapes == {"03797390": expected}
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for number in range(count):
            cloud(tmp_path / "s" / "mug" / split / f"{split}{number}.npy", 12, number, rng)
    found, done = converted(tmp_path / "s", tmp_path / "s.hdf5", points=12)
    assert (found.layout, found.notes) == ("split folders", ())
    assert done.shapes == {"03797390": {"train": 3, "val": 1, "test": 2}}
    found, done = converted(tmp_path / "s", tmp_path / "t.hdf5", points=12, split="test")
    assert done.shapes == {"03797390": {"test": 6}}


def test_shapenet_meshes_with_and_without_the_official_split(tmp_path):
    folder = tmp_path / "ShapeNetCore.v2"
    for number in range(5):
        box(folder / "03001627" / f"m{number}" / "models/model_normalized.obj", 10 + number)
    found, done = converted(folder, tmp_path / "a.hdf5", points=400)
    assert found.layout == "ShapeNet meshes" and found.up == "y"
    assert done.shapes == {"03001627": {"train": 3, "val": 1, "test": 1}}
    table = "id,synsetId,subSynsetId,modelId,split\n" + "".join(
        f"{i},03001627,03001627,m{i},{split}\n"
        for i, split in enumerate(("train", "test", "train", "val"))
    )
    (folder / "all.csv").write_text(table)
    found, done = converted(folder, tmp_path / "b.hdf5", points=400)
    assert done.shapes == {"03001627": {"train": 2, "val": 1, "test": 1}}
    assert heights(tmp_path / "b.hdf5", "chair", "train") == [10, 12]
    assert found.notes[1] == "1 models without a split are left out"


def test_modelnet_is_turned_and_keeps_its_test_shapes(tmp_path):
    folder = tmp_path / "ModelNet10"
    for number in range(6):
        split = "train" if number < 4 else "test"
        box(folder / "chair" / split / f"chair_{number:04}.off", 10 + number)
    found, done = converted(folder, tmp_path / "a.hdf5", points=400)
    assert found.layout == "ModelNet" and "turned so that y is up" in found.notes[0]
    assert done.shapes == {"03001627": {"train": 3, "val": 1, "test": 2}}
    assert heights(tmp_path / "a.hdf5", "chair", "test", axis=1) == [14, 15]
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert (file.attrs["up"], file.attrs["points"]) == ("y", 400)


def test_pc15k_keeps_its_splits(tmp_path, rng):
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        for number in range(count):
            cloud(tmp_path / "pc" / "02691156" / split / f"{split}{number}.npy", 30, number, rng)
    found, done = converted(tmp_path / "pc", tmp_path / "a.hdf5", points=20)
    assert found.layout == "ShapeNet PC15k"
    assert done.shapes == {"02691156": {"train": 2, "val": 1, "test": 1}}
    assert find_shapes(tmp_path / "pc").points == 15000


def test_unreadable_shapes_are_skipped_or_stop_the_conversion(tmp_path, rng):
    folder = tmp_path / "clouds"
    cloud(folder / "good.npy", 12, 0, rng)
    np.save(folder / "nan.npy", np.full((12, 3), np.nan))
    np.save(folder / "same.npy", np.ones((12, 3)))
    (folder / "cut.ply").write_text("ply\nformat ascii 1.0\nelement vertex 9\n")
    (folder / "notes.md").write_text("not a shape")
    _, done = converted(folder, tmp_path / "a.hdf5", points=12)
    assert categories(tmp_path / "a.hdf5") == {"clouds": {"train": 1}}
    assert [name for reason in done.skipped for name in ("cut", "nan", "same") if name in reason]
    assert len(done.skipped) == 3
    with pytest.raises(InputError, match="clouds/"):
        converted(folder, tmp_path / "b.hdf5", points=12, strict=True)
    assert not (tmp_path / "b.hdf5").exists()


def test_texts_are_clouds_unless_they_lie_beside_other_shapes(tmp_path, rng):
    """As in ModelNet40 with normals, whose folder also has lists of names."""
    for number in range(3):
        array = cloud(tmp_path / "m" / "chair" / "made.npy", 12, number, rng)
        np.savetxt(tmp_path / "m" / "chair" / f"chair_{number}.txt", array, delimiter=",")
    (tmp_path / "m" / "chair" / "made.npy").unlink()
    (tmp_path / "m" / "shape_names.txt").write_text("chair\n")
    found, done = converted(tmp_path / "m", tmp_path / "a.hdf5", points=12)
    assert found.layout == "category folders"
    assert done.shapes == {"03001627": {"train": 1, "val": 1, "test": 1}}
    found, done = converted(tmp_path / "m" / "chair", tmp_path / "b.hdf5", points=12)
    assert (found.layout, done.shapes) == ("files", {"03001627": {"train": 1, "val": 1, "test": 1}})
    cloud(tmp_path / "m" / "chair" / "other.npy", 12, 7, rng)
    assert len(find_shapes(tmp_path / "m" / "chair").shapes) == 1


def test_remarks_about_files_are_passed_on(tmp_path, rng):
    folder = tmp_path / "clouds"
    array = cloud(folder / "a.npy", 12, 0, rng)
    array[3, 1] = np.nan
    np.save(folder / "a.npy", array)
    _, done = converted(folder, tmp_path / "a.hdf5", points=11)
    (remark,) = done.remarks
    assert remark == f"{folder / 'a.npy'}: left out 1 of 12 points: not finite"
    kept = np.delete(array, 3, axis=0)
    np.testing.assert_array_equal(read_clouds(tmp_path / "a.hdf5", "clouds", "train")[0], kept)


def test_remarks_about_modelnet_are_passed_on(tmp_path):
    """The third face is damaged; points are drawn on the other two."""
    path = tmp_path / "chair" / "test" / "chair_0001.off"
    path.parent.mkdir(parents=True)
    path.write_text("OFF\n4 3 0\n0 0 0\n2 0 0\n2 2 0\n0 2 0\n3 0 1 2\n3 0 2 3\n2 0 1\n")
    found, done = converted(tmp_path, tmp_path / "a.hdf5", points=9)
    assert found.layout == "ModelNet"
    assert done.remarks == (f"{path}: left out 1 of 3 faces: fewer than 3 corners",)
    points = read_clouds(tmp_path / "a.hdf5", "chair", "test")[0]
    assert (points[:, 1] == 0).all() and (points[:, 2] <= 0).all()


@pytest.mark.parametrize(
    ("files", "options", "sentence"),
    [
        ([], {}, "has no clouds or meshes: expected files with the ending .obj"),
        (["notes.md", "deep/er/a.npy"], {}, "has no clouds or meshes"),
        (["a.npy"], {"categories": ("mug", "cup")}, "must have one category, got mug, cup"),
        (
            ["mug/a.npy"],
            {"categories": ("cup",)},
            "has no category 'cup'; categories in the",
        ),
        (["mug/a.npy", "cup/train/a.npy"], {}, "either all category folders must have the folders"),
        (["a.npy"], {"split": "dev"}, "the split must be train, val, test or three shares"),
        (["a.npy"], {"split": (0.5, 0.5, 0.5)}, "with the sum 1, got 0.5, 0.5, 0.5"),
    ],
)
def test_wrong_folders_are_refused(files, options, sentence, tmp_path, rng):
    folder = tmp_path / "f"
    folder.mkdir()
    for name in files:
        cloud((folder / name).with_suffix(".npy"), 5, 0, rng).tofile(folder / name) if (
            name.endswith(".npy")
        ) else (folder / name).write_text("x")
    with pytest.raises(InputError, match=sentence):
        converted(folder, tmp_path / "a.hdf5", **options)
    with pytest.raises(InputError, match="does not exist or is not a folder"):
        find_shapes(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (1, (0.8, 0.1, 0.1), [1, 0, 0]),
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (100, (0.8, 0.1, 0.1), [80, 10, 10]),
        (10, (1.0, 0.0, 0.0), [10, 0, 0]),
        (10, (0.0, 0.0, 1.0), [0, 0, 10]),
        (7, (0.5, 0.5, 0.0), [3, 4, 0]),
    ],
)
def test_the_sizes_of_random_splits(count, shares, expected):
    splits = random_splits("mug", count, shares, 0)
    assert [splits.count(name) for name in ("train", "val", "test")] == expected
