"""Frozen sets: what is read, and that every change of a byte is named."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from trimesh.creation import box, icosphere

from grasp.judging.benchmark import SET_FILE, load_set, sealed, set_document
from grasp.objects.object import Object
from grasp.objects.views import look_at, render_view, write_view
from pcdiff.errors import InputError

TABLE = [[1.0, 0, 0, 0.1], [0, 0, -1.0, 0.2], [0, 1.0, 0, 0.03], [0, 0, 0, 1.0]]
VIEWPOINT = np.array([0.3, -0.4, 0.5])


def entry(name, truth, **more):
    usual = {"group": name, "seen": truth, "T_table_object": None, "origin": {}}
    return {"name": name, "truth": truth, **usual, **more}


def write(folder, entries, **changes):
    """Seal a set of the files in the folder; changes replace entries of set.json."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != SET_FILE
    }
    document = set_document("small", "A small set.", "MIT", files, entries)
    (folder / SET_FILE).write_bytes(sealed({**document, **changes})[0])
    return folder


@pytest.fixture
def folder(tmp_path):
    """A set of a block with convex parts, on a table, and a ball that one camera sees."""
    made = tmp_path / "small"
    (made / "meshes").mkdir(parents=True)
    block, ball = box((0.04, 0.05, 0.06)), icosphere(3, 0.04)
    block.export(made / "meshes/block.obj")
    block.export(made / "meshes/block.parts.obj")
    (made / "meshes/block.parts.obj").write_text("o part\n" + block.export(file_type="obj"))
    ball.export(made / "meshes/ball.stl")
    (made / "views").mkdir()
    obj = Object.from_mesh(np.array(ball.vertices), np.array(ball.faces))
    write_view(made / "views/ball.npz", render_view(obj, look_at(VIEWPOINT, np.zeros(3))))
    return write(
        made,
        [
            entry("block", "meshes/block.obj", T_table_object=TABLE, origin={"seed": 5}),
            entry("ball-view", "meshes/ball.stl", group="ball", seen="views/ball.npz"),
        ],
    )


def test_a_set_is_read(folder):
    found = load_set(folder)
    assert (found.name, found.about, found.licence) == ("small", "A small set.", "MIT")
    assert found.digest == json.loads((folder / SET_FILE).read_text())["digest"]
    block, ball = found.cases
    assert (block.name, block.group, block.origin) == ("block", "block", {"seed": 5})
    assert block.seen is block.truth
    assert block.viewpoint is None
    assert len(block.truth.parts) == 1
    np.testing.assert_array_equal(block.T_table_object, TABLE)
    assert (ball.name, ball.group, ball.T_table_object, ball.scene) == (
        "ball-view",
        "ball",
        None,
        None,
    )
    np.testing.assert_allclose(ball.viewpoint, VIEWPOINT, atol=1e-9)


def test_what_is_seen_is_in_the_frame_of_the_truth(folder):
    ball = load_set(folder).cases[1]
    assert not ball.seen.is_mesh
    np.testing.assert_allclose(np.linalg.norm(ball.seen.vertices, axis=1), 0.04, atol=3e-4)
    assert (ball.seen.normals @ VIEWPOINT > 0).mean() > 0.95


def test_the_scene_of_a_case_is_its_table(folder, panda):
    """A hand below z = 0 of the table collides, in the frame of the object."""
    block = load_set(folder).cases[0]
    T_object_table = np.linalg.inv(TABLE)
    for height, collides in ((0.3, False), (-0.3, True)):
        above = np.eye(4)
        above[2, 3] = height
        poses = (T_object_table @ above)[None]
        assert block.scene.in_collision(poses, panda).tolist() == [collides]


def test_every_byte_of_every_file_counts(folder):
    for path in sorted(folder.rglob("*.*")):
        content = path.read_bytes()
        for place in np.linspace(0, len(content) - 1, 12).astype(int).tolist():
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
                load_set(folder)
        path.write_bytes(content + b"\n")
        with pytest.raises(InputError, match=f"{path.name} was changed since the set was made"):
            load_set(folder)
        path.write_bytes(content)
    load_set(folder)


def test_both_digests_are_stated(folder):
    path = folder / "meshes/ball.stl"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b" ")
    now = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"its digest is {now}, set.json states {before}"):
        load_set(folder)


@pytest.mark.parametrize(("old", "new"), [('"seed": 5', '"seed":  5'), ("0.03\n", "0.030\n")])
def test_another_spelling_of_the_same_values_is_a_change(folder, old, new):
    path = folder / SET_FILE
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match="changed since the set was made: its values are the same"):
        load_set(folder)


def test_added_convex_parts_are_refused(folder):
    """Physics would use them, although no digest of a listed file changes."""
    (folder / "meshes/ball.stl").unlink()
    box((0.1, 0.1, 0.1)).export(folder / "meshes/ball.obj")
    write(folder, [entry("ball", "meshes/ball.obj")])
    load_set(folder)
    (folder / "meshes/ball.parts.obj").write_text("o part\n")
    with pytest.raises(InputError, match=r"ball\.parts\.obj was added since the set was made"):
        load_set(folder)


@pytest.mark.parametrize(
    "name", ["../secret.obj", "/etc/passwd", "a\\..\\b.obj", "C:x.obj", "", ".", "meshes/../../x"]
)
def test_files_outside_the_folder_are_refused(folder, name):
    write(folder, [entry("block", name)], files={name: "0" * 64})
    with pytest.raises(InputError, match="is outside the folder"):
        load_set(folder)


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    outside = tmp_path / "outside.obj"
    box((0.1, 0.1, 0.1)).export(outside)
    (folder / "meshes/link.obj").symlink_to(outside)
    write(folder, [entry("block", "meshes/link.obj")])
    with pytest.raises(InputError, match=r"'meshes/link\.obj' is outside the folder"):
        load_set(folder)


BLOCK = "meshes/block.obj"
GOOD = entry("block", BLOCK)
TILTED = [[1.0, 0.5, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]]


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ([], "expected 1 to 10000 cases, got 0 cases"),
        ("block", "cases must be a list"),
        ([5], r"cases\[0\]: the case must be a mapping, got 5"),
        ([{**GOOD, "mass": 1}], "the case has the unknown entry mass"),
        ([{**GOOD, "name": "a/b"}], "name must be a text of 1 to 240 letters"),
        ([{**GOOD, "group": None}], "the case block: group must be a text"),
        ([GOOD, GOOD], "the case block: two cases have this name"),
        ([{**GOOD, "truth": "meshes/cup.obj"}], "truth must be a file that the set lists"),
        ([{**GOOD, "seen": 3}], "seen must be text, got 3"),
        ([{**GOOD, "truth": "views/ball.npz"}], "is a point cloud, but physics needs a mesh"),
        ([{**GOOD, "T_table_object": [1, 2]}], "T_table_object must be a list of 4 rows"),
        ([{**GOOD, "T_table_object": TILTED}], "is not orthonormal"),
        ([{**GOOD, "origin": []}], "origin must be a mapping"),
    ],
)
def test_bad_cases_are_refused(folder, cases, sentence):
    write(folder, [GOOD], cases=cases)
    with pytest.raises(InputError, match=f"set.json: .*{sentence}"):
        load_set(folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"format": "pcdiff-grasp/grasps"}, "has format 'pcdiff-grasp/grasps' version 1, expected"),
        ({"version": 2}, "version 2, expected pcdiff-grasp/benchmark version 1"),
        ({"unit": "mm"}, "unit must be metre, got 'mm'"),
        ({"name": "a b"}, "name must be a text of 1 to 240 letters"),
        ({"about": 3}, "about must be text, got 3"),
        ({"more": 3}, "the set has the unknown entry more"),
        ({"files": {BLOCK: "abc"}}, "must be 64 hexadecimal digits, got 'abc'"),
        ({"files": {"meshes/cup.obj": "0" * 64}}, "cup.obj does not exist"),
        ({"files": {"meshes": "0" * 64}}, "meshes is not a file"),
        ({"files": []}, "files must be a mapping"),
    ],
)
def test_bad_sets_are_refused(folder, changes, sentence):
    write(folder, [GOOD], **changes)
    with pytest.raises(InputError, match=sentence):
        load_set(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"{", "is not a benchmark set: the text is not JSON"),
        (b"[]", "the top level must be a mapping"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b'{"format": 1, "format": 1}', "the key 'format' more than once"),
        (b'{"format": "pcdiff-grasp/benchmark", "version": 1, "a": NaN}', "JSON cannot represent"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, content, sentence):
    (tmp_path / SET_FILE).write_bytes(content)
    with pytest.raises(InputError, match=f"set.json .*{sentence}"):
        load_set(tmp_path)


def test_a_missing_set_is_refused(tmp_path):
    with pytest.raises(InputError, match="none does not exist or is not a folder"):
        load_set(tmp_path / "none")
    with pytest.raises(InputError, match=r"set\.json does not exist"):
        load_set(tmp_path)
