"""Sets that `datasets.acronym` prepares: their content, their sources, and runs in pieces."""

from __future__ import annotations

import hashlib
import json

import h5py
import numpy as np
import pytest
import trimesh

from datasets.household.catalogue import read_catalogue
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from tests.datasets.acronym.download import (
    ALL,
    BOWL,
    CENTRE,
    MUG,
    OTHER_MUG,
    SIDES,
    contents,
    corners,
    options,
    parts_of,
    poses,
    prepared,
    refused,
    write_mesh,
)


@pytest.mark.parametrize("name", ALL)
def test_the_mesh_is_the_box_in_metres_where_the_file_has_it(download, tmp_path, name):
    output = prepared(download, tmp_path / "set")
    obj = load_object(output / "meshes" / f"{name}.obj")
    assert (len(obj.vertices), len(obj.faces)) == (8, 10)  # the vertex without a face is gone
    # The release rounds scales to ten decimals, which is 2e-7 of the smallest scale here.
    expected = np.stack([CENTRE - SIDES / 2, CENTRE + SIDES / 2])
    np.testing.assert_allclose(obj.bounds, expected, rtol=2e-7)
    scale = round(parts_of(name)[2], 10)
    exact = corners(parts_of(name)[2]) * scale
    assert {tuple(v) for v in obj.vertices.tolist()} == {tuple(v) for v in exact.tolist()}
    areas = [SIDES[1] * SIDES[2], SIDES[0] * SIDES[2], SIDES[0] * SIDES[1] / 2]
    assert obj.mesh().area == pytest.approx(2 * sum(areas))  # four walls and a floor
    assert not obj.mesh().is_watertight


def test_the_grasps_are_acronyms_and_name_the_mesh_that_was_written(download, tmp_path):
    output = prepared(download, tmp_path / "set")
    path = output / "grasps" / "panda" / f"{MUG}.h5"
    grasps = read_grasps(path)
    np.testing.assert_array_equal(grasps.poses, poses())
    np.testing.assert_array_equal(grasps.success, np.arange(20) % 3 > 0)
    assert (grasps.gripper, grasps.mass, grasps.friction) == ("panda", 0.09, 1.0)
    np.testing.assert_array_equal(grasps.center_of_mass, CENTRE)
    obj = load_object(output / grasps.object_file, grasps.object_scale)
    assert grasps.object_scale == 1
    assert grasps.object_sha256 == obj.sha256
    assert "FleX" in grasps.protocol
    assert grasps.sampler == {
        "name": "ACRONYM",
        "file": f"{MUG}.h5",
        "mesh": "10f6e09036350e92b3f21f1137c3c347.obj",
        "scale": 0.0002682458,
    }
    np.testing.assert_array_equal(grasps.tool_center_point, load_gripper("panda").tool_center_point)


def test_every_number_of_acronym_is_kept(download, tmp_path):
    output = prepared(download, tmp_path / "set")
    before, after = (
        h5py.File(path) for path in (download[0] / f"{MUG}.h5", next(output.rglob(f"{MUG}.h5")))
    )
    with before, after:
        names: list[str] = []
        before.visititems(
            lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None
        )
        assert len(names) == 13
        for name in set(names) - {"object/file", "object/scale", "gripper/type"}:
            np.testing.assert_array_equal(before[name][()], after[name][()])
            assert before[name].shape == after[name].shape
        assert after["gripper/type"][()] == b"panda"


def test_the_catalogue_lists_every_object(download, tmp_path):
    output = prepared(download, tmp_path / "set")
    entries = read_catalogue(output)
    assert [entry.name for entry in entries] == list(ALL)
    assert [entry.family for entry in entries] == ["Bowl", "Mug", "Mug"]
    assert [entry.index for entry in entries] == [0, 1, 2]
    for entry in entries:
        assert (entry.mass, entry.friction, entry.parts) == (0.09, 1.0, None)
        assert "ShapeNet" in entry.licence and "CC BY-NC 4.0" in entry.licence
        assert entry.sha256 == hashlib.sha256((output / entry.file).read_bytes()).hexdigest()
        assert entry.parameters["scale"] == pytest.approx(parts_of(entry.name)[2])
        assert (entry.parameters["grasps"], entry.parameters["successes"]) == (20, 13)


def test_the_card_says_licences_and_counts(download, tmp_path):
    output = prepared(download, tmp_path / "set")
    card = (output / "grasps" / "panda" / "README.md").read_text()
    assert "CC BY-NC 4.0" in card and "Not for commercial use" in card
    assert "https://shapenet.org/terms" in card
    assert "3 objects with 60 grasps" in card
    assert "| Bowl | 1 | 20 | 65.0 % |\n| Mug | 2 | 40 | 65.0 % |\n" in card


def test_json_is_one_object(download, tmp_path, capsys):
    output = prepared(download, tmp_path / "set", "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["command"] == "datasets.acronym"
    assert record["results"] == {
        "output": str(output),
        "made": 3,
        "kept": 0,
        "skipped": [],
        "objects": 3,
        "grasps": 60,
        "successes": 39,
        "families": {"Bowl": 1, "Mug": 2},
    }


def test_a_doubled_sheet_has_the_digest_that_reading_it_gives(download, tmp_path):
    # The mesh is closed and has no volume, so only rounding could decide which side is outside.
    rng = np.random.default_rng(0)
    rows = []
    for number in range(30):
        vertices = (CENTRE + rng.normal(size=(3, 3)) * SIDES / 3) / 1.5
        rows += [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
        a, b, c = 3 * number + np.arange(1, 4)
        rows += [f"f {a} {b} {c}", f"f {c} {b} {a}"]
    mesh = download[1] / f"{parts_of(OTHER_MUG)[1]}.obj"
    mesh.write_text("\n".join(rows))
    output = prepared(download, tmp_path / "set")
    grasps = read_grasps(output / "grasps" / "panda" / f"{OTHER_MUG}.h5")
    obj = load_object(output / grasps.object_file)
    assert grasps.object_sha256 == obj.sha256
    assert len(obj.faces) == 60


# --- where meshes may be ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout", ["", "models", "models-OBJ/models", "{category}", "meshes/{category}"]
)
def test_layouts_of_the_meshes_give_the_same(download, tmp_path, layout):
    expected = contents(prepared(download, tmp_path / "expected"))
    folder = tmp_path / "elsewhere"
    for name in ALL:
        write_mesh(folder, name, layout)
    found = contents(prepared((download[0].parent, folder), tmp_path / "found"))
    for key in [key for key in expected if key.endswith(".h5")]:
        made_by = "pcdiff_grasp/sampler"
        assert found[key].pop(made_by) != expected[key].pop(made_by) or layout == ""
    assert found == expected


def test_a_mesh_may_be_stl(download, tmp_path):
    for name in ALL:
        path = download[1] / f"{parts_of(name)[1]}.obj"
        trimesh.load(path, force="mesh").export(path.with_suffix(".stl"))
        path.unlink()
    output = prepared(download, tmp_path / "set")
    bounds = load_object(output / "meshes" / f"{MUG}.obj").bounds
    np.testing.assert_allclose(bounds, [CENTRE - SIDES / 2, CENTRE + SIDES / 2], atol=1e-6)


# --- which objects -------------------------------------------------------------------------------


def test_categories_and_count(download, tmp_path):
    def names(*more):
        return [e.name for e in read_catalogue(prepared(download, tmp_path / str(more), *more))]

    assert names("--categories", "Mug") == [MUG, OTHER_MUG]
    assert names("--categories", "Mug, Bowl", "--count", 2) == [BOWL, MUG]
    assert names("--count", 1) == [BOWL]
    # An object that cannot be used does not count.
    (download[1] / f"{parts_of(BOWL)[1]}.obj").unlink()
    assert names("--count", "1") == [MUG]


def test_a_category_that_is_not_there(download, tmp_path, capsys):
    message = refused(capsys, *options(download, tmp_path / "set"), "--categories", "Mug,mug")
    assert "no category 'mug'; categories in the folder: Bowl, Mug" in message
    assert not (tmp_path / "set").exists()


# --- continuing a run ----------------------------------------------------------------------------


def test_a_run_in_pieces_gives_what_one_run_gives(download, tmp_path, capsys):
    expected = contents(prepared(download, tmp_path / "one"))
    output = prepared(download, tmp_path / "pieces", "--count", 1)
    first = {path: path.stat().st_mtime_ns for path in output.rglob(f"{BOWL}.*")}
    # Objects that are already there are not read again: their sources may be gone.
    kept = download[0] / f"{BOWL}.h5"
    kept.write_bytes(b"")
    (download[1] / f"{parts_of(BOWL)[1]}.obj").unlink()
    capsys.readouterr()
    prepared(download, output, "--json")
    results = json.loads(capsys.readouterr().out)["results"]
    assert (results["made"], results["kept"], results["objects"]) == (2, 1, 3)
    assert {path: path.stat().st_mtime_ns for path in first} == first
    assert contents(output) == expected


def test_what_a_killed_run_left_is_completed(download, tmp_path):
    expected = contents(prepared(download, tmp_path / "one"))
    output = prepared(download, tmp_path / "killed")
    (output / "grasps" / "panda" / f"{MUG}.h5").unlink()  # killed between a mesh and its grasps
    (output / "meshes" / f"{BOWL}.obj").unlink()
    (output / "meshes" / ".partial-0123.obj").write_text("v 0 0")
    (output / "catalogue.json").unlink()
    assert contents(prepared(download, output)) == expected


def test_another_category_extends_the_set(download, tmp_path):
    output = tmp_path / "set"
    prepared(download, output, "--categories", "Mug")
    prepared(download, output, "--categories", "Bowl")
    assert contents(output) == contents(prepared(download, tmp_path / "one"))
