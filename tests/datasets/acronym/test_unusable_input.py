"""Files and folders that `datasets.acronym` cannot use."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

from datasets.household.catalogue import read_catalogue
from tests.datasets.acronym.download import (
    BOWL,
    CENTRE,
    LABELS,
    MOTION,
    MUG,
    OTHER_MUG,
    contents,
    corners,
    obj_text,
    options,
    parts_of,
    poses,
    prepared,
    refused,
    write_grasps,
)


def change(**datasets):
    def spoil(grasps, mesh):
        write_grasps(grasps, **{name.replace("__", "/"): value for name, value in datasets.items()})

    return spoil


def truncate(grasps, mesh):
    grasps.write_bytes(grasps.read_bytes()[:3000])


def moved(grasps, mesh):
    mesh.write_text(obj_text(corners(parts_of(MUG)[2]) - CENTRE / parts_of(MUG)[2]))


def in_millimetres(grasps, mesh):
    mesh.write_text(obj_text(corners(parts_of(MUG)[2]) / 10))


BAD_POSES = poses()
BAD_POSES[7, 0, 3] = np.nan

SPOILT = {
    "truncated": (truncate, "cannot be read"),
    "text": (lambda grasps, mesh: grasps.write_text("<html>"), "the file is not an HDF5 file"),
    "empty": (lambda grasps, mesh: grasps.write_bytes(b""), "the file is not an HDF5 file"),
    "pose": (change(grasps__transforms=BAD_POSES), "grasp 7 has a number that is not finite"),
    "no grasps": (change(grasps__transforms=None), "must have the dataset grasps/transforms"),
    "no labels": (
        change(grasps__qualities__flex__object_in_gripper=None),
        "the file has no HDF5 dataset grasps/qualities/flex/object_in_gripper",
    ),
    "fewer labels": (
        change(grasps__qualities__flex__object_in_gripper=np.ones(3)),
        "one success for each of the 20 grasps",
    ),
    "no file": (change(object__file=None), "the file has no HDF5 dataset object/file"),
    "no mass": (change(object__mass=None), "the file has no HDF5 dataset object/mass"),
    "no friction": (change(object__friction=None), "the file has no HDF5 dataset object/friction"),
    "no scale": (change(object__scale=None), "object/scale must be 0.000268"),
    "scale": (change(object__scale=0.0003), "in the file name, got 0.0003"),
    "gripper": (change(gripper__type="robotiq"), "for the gripper 'robotiq', expected 'panda'"),
    "place": (change(object__file="../../secret.obj"), "names the mesh '../../secret.obj'"),
    "inertia": (change(object__inertia="heavy"), "object/inertia that is not numeric"),
    "motion": (
        change(**{MOTION: np.ones((5, 5))}),
        f"{MOTION} that is not numeric or has the wrong shape",
    ),
    "no mesh": (lambda grasps, mesh: mesh.unlink(), "the mesh 10f6e09036350e92b3f21f1137c3c347"),
    "empty mesh": (lambda grasps, mesh: mesh.write_text(""), ".obj is empty"),
    "no faces": (lambda grasps, mesh: mesh.write_text("v 0 0 0\n"), "mesh without faces"),
    "damaged mesh": (lambda grasps, mesh: mesh.write_text("v 0 zero 0\n"), "damaged in line 1"),
    "moved mesh": (moved, "at least 90 % of the grasps must be at the surface of the mesh, got 0"),
    "small mesh": (in_millimetres, "of the grasps must be at the surface of the mesh, got"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_an_object_that_cannot_be_used_is_named_and_skipped(download, tmp_path, capsys, case):
    spoil, reason = SPOILT[case]
    spoil(download[0] / f"{MUG}.h5", download[1] / f"{parts_of(MUG)[1]}.obj")
    output = prepared(download, tmp_path / "set", "--json")
    printed = capsys.readouterr()
    (sentence,) = json.loads(printed.out)["results"]["skipped"]
    assert reason in sentence
    assert parts_of(MUG)[1] in sentence and "\n" not in sentence  # it names the file
    assert printed.err.splitlines() == [f"skipped: {sentence}", "skipped 1 objects in total"]
    assert [entry.name for entry in read_catalogue(output)] == [BOWL, OTHER_MUG]
    assert not list(output.rglob(f"{MUG}*"))


def test_a_file_of_another_name(download, tmp_path, capsys):
    shutil.copy(download[0] / f"{MUG}.h5", download[0] / "mug.h5")
    prepared(download, tmp_path / "set")
    error = capsys.readouterr().err
    assert "mug.h5 cannot be used: the file name does not have the form Category_hash" in error


def test_nothing_that_can_be_used(download, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    message = refused(capsys, *options((download[0], empty), tmp_path / "set"))
    assert "none of the 3 grasp files can be used; the first error is: " in message
    mesh = parts_of(BOWL)[1]
    assert f"the mesh {mesh}.obj or {mesh}.stl is not in {empty}" in message


def test_folders_that_are_not_there(download, tmp_path, capsys):
    missing, empty, output = tmp_path / "missing", tmp_path / "empty", tmp_path / "set"
    empty.mkdir()
    grasps, meshes = download
    assert f"{missing} does not exist" in refused(capsys, *options((missing, meshes), output))
    assert f"{missing} does not exist" in refused(capsys, *options((grasps, missing), output))
    assert f"{empty} has no grasps" in refused(capsys, *options((empty, meshes), output))
    assert not output.exists()


def test_a_folder_of_another_set_is_left_alone(download, tmp_path, capsys):
    output = prepared(download, tmp_path / "set")
    capsys.readouterr()
    catalogue = output / "catalogue.json"
    catalogue.write_text(catalogue.read_text().replace("ShapeNet", "my own"))
    before = contents(output)
    message = refused(capsys, *options(download, output))
    assert f"{output} contains a set that another program wrote" in message
    assert contents(output) == before


def test_labels_of_another_protocol_are_not_taken_for_acronyms(download, tmp_path, capsys):
    output = prepared(download, tmp_path / "set")
    path = output / "grasps" / "panda" / f"{MUG}.h5"
    with h5py.File(path, "r+") as file:
        file["pcdiff_grasp"].attrs["protocol"] = "1"
    capsys.readouterr()
    assert f"{path} has labels from 1, expected" in refused(capsys, *options(download, output))


@pytest.mark.parametrize("missing", ["object/mass", "pcdiff_grasp/sampler", LABELS])
def test_a_prepared_file_that_lacks_something_is_named(download, tmp_path, capsys, missing):
    output = prepared(download, tmp_path / "set")
    path = output / "grasps" / "panda" / f"{MUG}.h5"
    with h5py.File(path, "r+") as file:
        del file[missing]
    capsys.readouterr()
    said = {"object/mass": "mass", "pcdiff_grasp/sampler": "scale", LABELS: "success"}[missing]
    assert f"{path} lacks {said}" in refused(capsys, *options(download, output))


def test_an_output_that_cannot_be_written_ends_the_run(download, tmp_path, capsys):
    output = tmp_path / "set"
    (output / "meshes" / f"{BOWL}.obj").mkdir(parents=True)
    message = refused(capsys, *options(download, output))
    assert f"cannot write {output / 'meshes' / BOWL}.obj" in message
    file = tmp_path / "file"
    file.write_text("")
    assert f"cannot write into {file}" in refused(capsys, *options(download, file))
