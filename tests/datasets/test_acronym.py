"""ACRONYM with ShapeNetSem, from a small download of boxes whose grasps are known.

Each object is an open box made of quadrilaterals, in its own unit and far from the origin, as in
ShapeNetSem.
"""

from __future__ import annotations

import hashlib
import json
import shutil

import h5py
import numpy as np
import pytest
import trimesh

from datasets.acronym.__main__ import app
from datasets.household.catalogue import read_catalogue
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.loading import load_object
from pcdiff.console import run

SIDES = np.array([0.05, 0.06, 0.2])
CENTRE = np.array([3.0, -2.0, 1.0])
MOTION = "grasps/qualities/flex/object_motion_during_shaking_linear"
LABELS = "grasps/qualities/flex/object_in_gripper"

# name, scale
MUG, BOWL, OTHER_MUG = (
    "Mug_10f6e09036350e92b3f21f1137c3c347_0.00026824578309869",
    "Bowl_99cf659ae2fe4b87b72437fd995483b_0.009700376721042367",
    "Mug_5c48d471200d2bf16e8a121e6886e18d_1.5",
)
ALL = (BOWL, MUG, OTHER_MUG)  # sorted by name


def program(*arguments) -> int:
    with pytest.raises(SystemExit) as caught:
        run(app, [str(argument) for argument in arguments])
    return caught.value.code


def parts_of(name):
    category, model, scale = name.rsplit("_", 2)
    return category, model, float(scale)


def corners(scale):
    """The box's corners in the unit of its file, in the order that `FACES` numbers them."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return (CENTRE + signs * SIDES / 2) / scale


# The box has no top. The corners of a face run counter-clockwise seen from outside.
FACES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5)]


def obj_text(vertices):
    """A mesh file like ShapeNetSem's: groups, materials, texture, and a vertex without a face."""
    lines = ["# a comment", "mtllib missing.mtl", "vt 0 0", "vn 0 0 1", "v 1e6 1e6 1e6"]
    lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    for number, face in enumerate(FACES):
        lines += ["", f"g group{number}", f"usemtl material{number % 2}", "s off"]
        lines.append("f " + " ".join(f"{corner + 1}/1/1" for corner in face))
    return "\n".join([*lines, "l 1 2", ""])


def poses():
    """Grasps across x and across y that approach downwards, at several heights."""
    tip = load_gripper("panda").tool_center_point
    found = []
    for closing in ([1.0, 0, 0], [0, 1.0, 0]):
        for height in np.linspace(-0.05, 0.09, 10):
            pose = np.eye(4)
            approach = np.array([0, 0, -1.0])
            pose[:3, :3] = np.stack([closing, np.cross(approach, closing), approach], axis=1)
            pose[:3, 3] = CENTRE + height * np.array([0, 0, 1]) - pose[:3, :3] @ tip
            found.append(pose)
    return np.array(found)


def write_grasps(path, **changes):
    """A file like those of the release: text of variable length, and a rounded scale."""
    category, model, scale = parts_of(path.stem)
    content = {
        "grasps/transforms": poses(),
        LABELS: np.arange(20) % 3,
        MOTION: np.linspace(0, 1, 20),
        "gripper/type": "panda",
        "gripper/configuration": np.array([0.04]),
        "object/file": f"meshes/{category}/{model}.obj",
        "object/scale": round(scale, 10),
        "object/mass": 0.09,
        "object/density": 150.0,
        "object/volume": 0.0006,
        "object/friction": 1.0,
        "object/com": CENTRE,
        "object/inertia": np.diag([1.0, 2.0, 3.0]),
    }
    content[LABELS] = np.minimum(content[LABELS], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in {**content, **changes}.items():
            if value is not None:
                file[name] = value
    return path


def write_mesh(folder, name, layout=""):
    category, model, scale = parts_of(name)
    path = folder / layout.format(category=category) / f"{model}.obj"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(obj_text(corners(scale)))
    return path


@pytest.fixture
def download(tmp_path):
    """A folder of grasps and one of meshes."""
    grasps, meshes = tmp_path / "acronym" / "grasps", tmp_path / "models-OBJ" / "models"
    for name in ALL:
        write_grasps(grasps / f"{name}.h5")
        write_mesh(meshes, name)
    return grasps, meshes


def options(download, output):
    return ("--grasps", download[0], "--meshes", download[1], "--output", output)


def prepared(download, output, *more):
    assert program(*options(download, output), *more) == 0
    return output


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".h5"
    } | {path.name: arrays(path) for path in folder.rglob("*.h5")}


def arrays(path):
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()]).tolist()
        found.update({f"{name}@{key}": str(value) for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


def refused(capsys, *arguments):
    assert program(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    return printed.err


# --- what is written -----------------------------------------------------------------------------


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


def test_the_catalogue_lists_what_is_there(download, tmp_path):
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
    assert "no category 'mug', it has Bowl, Mug" in message
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


# --- what cannot be used -------------------------------------------------------------------------


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
    "text": (lambda grasps, mesh: grasps.write_text("<html>"), "it is not an HDF5 file"),
    "empty": (lambda grasps, mesh: grasps.write_bytes(b""), "it is not an HDF5 file"),
    "pose": (change(grasps__transforms=BAD_POSES), "grasp 7 has a number that is not finite"),
    "no grasps": (change(grasps__transforms=None), "it has no grasps/transforms"),
    "no labels": (
        change(grasps__qualities__flex__object_in_gripper=None),
        "it has no grasps/qualities/flex/object_in_gripper",
    ),
    "fewer labels": (
        change(grasps__qualities__flex__object_in_gripper=np.ones(3)),
        "one success for each of the 20 grasps",
    ),
    "no file": (change(object__file=None), "it has no object/file"),
    "no mass": (change(object__mass=None), "it has no object/mass"),
    "no friction": (change(object__friction=None), "it has no object/friction"),
    "no scale": (change(object__scale=None), "its object/scale is 1, but its name says 0.000268"),
    "scale": (change(object__scale=0.0003), "its object/scale is 0.0003, but its name says"),
    "gripper": (change(gripper__type="robotiq"), "for the gripper 'robotiq', expected 'panda'"),
    "place": (change(object__file="../../secret.obj"), "names the mesh '../../secret.obj'"),
    "inertia": (change(object__inertia="heavy"), "object/inertia that is not numeric"),
    "motion": (
        change(**{MOTION: np.ones((5, 5))}),
        f"{MOTION} that is not numeric or has the wrong shape",
    ),
    "no mesh": (lambda grasps, mesh: mesh.unlink(), "its mesh 10f6e09036350e92b3f21f1137c3c347"),
    "empty mesh": (lambda grasps, mesh: mesh.write_text(""), ".obj is empty"),
    "no faces": (lambda grasps, mesh: mesh.write_text("v 0 0 0\n"), "mesh without faces"),
    "damaged mesh": (lambda grasps, mesh: mesh.write_text("v 0 zero 0\n"), "damaged in line 1"),
    "moved mesh": (moved, "only 0 % of the grasps are at its surface, expected at least 90 %"),
    "small mesh": (in_millimetres, "of the grasps are at its surface"),
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
    assert printed.err.splitlines() == [f"skipped: {sentence}", "skipped 1 objects in all"]
    assert [entry.name for entry in read_catalogue(output)] == [BOWL, OTHER_MUG]
    assert not list(output.rglob(f"{MUG}*"))


def test_a_file_of_another_name(download, tmp_path, capsys):
    shutil.copy(download[0] / f"{MUG}.h5", download[0] / "mug.h5")
    prepared(download, tmp_path / "set")
    error = capsys.readouterr().err
    assert "mug.h5 cannot be used: its name is not of ACRONYM's form Category_hash_scale" in error


def test_nothing_that_can_be_used(download, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    message = refused(capsys, *options((download[0], empty), tmp_path / "set"))
    assert "none of the 3 files of grasps can be used; the first error is: " in message
    mesh = parts_of(BOWL)[1]
    assert f"its mesh {mesh}.obj or {mesh}.stl is not in {empty}" in message


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
    assert "holds a set of other objects" in refused(capsys, *options(download, output))
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


# --- ACRONYM itself ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(shared_data, tmp_path_factory):
    """The set prepared from ACRONYM's two examples."""
    source = shared_data / "acronym_examples" / "examples"
    if not source.is_dir():
        pytest.skip("needs ACRONYM's examples in the development data")
    output = tmp_path_factory.mktemp("acronym")
    return prepared((source / "grasps", source / "meshes"), output)


@pytest.mark.parametrize("family", ["Mug", "Table"])
def test_acronyms_grasps_are_at_the_mesh(examples, family):
    (entry,) = (each for each in read_catalogue(examples) if each.family == family)
    grasps = read_grasps(examples / "grasps" / "panda" / f"{entry.name}.h5")
    obj = load_object(examples / entry.file)
    # The mass is the density in the file times the volume of the mesh in metres.
    with h5py.File(examples / "grasps" / "panda" / f"{entry.name}.h5") as file:
        density, volume = file["object/density"][()], file["object/volume"][()]
    assert obj.mesh().volume == pytest.approx(volume, rel=1e-5)
    assert grasps.mass == pytest.approx(density * obj.mesh().volume, rel=1e-5)
    np.testing.assert_allclose(obj.centre, grasps.center_of_mass, atol=2e-8)
    # The open hand has surface between its pads, and its body and fingers do not touch it.
    gripper = load_gripper("panda")
    points, _ = obj.surface(20_000, np.random.default_rng(0))
    hit = []
    for pose in grasps.poses[grasps.success][::10]:
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        low, high = [-gripper.stroke / 2, -0.0087, 0.0946], [gripper.stroke / 2, 0.0087, 0.1122]
        assert ((local >= low) & (local <= high)).all(axis=1).any()
        deep = [
            (np.abs(local - box.centre) < np.array(box.half_extents) - 0.002).all(axis=1).any()
            for box in gripper.boxes(gripper.stroke)
        ]
        hit.append(any(deep))
    assert np.mean(hit) < 0.02
