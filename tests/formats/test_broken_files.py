"""Broken files are refused with one sentence that names the file and the problem."""

from __future__ import annotations

import json
import math

import pytest
import yaml

from grasp import documents
from grasp.formats import read_grasps, write_grasps
from pcdiff.errors import InputError
from tests.formats.refusals import refusal


@pytest.fixture
def document(grasps, tmp_path):
    """Our JSON as plain values, which the tests then break."""
    write_grasps(tmp_path / "good.json", grasps)
    return json.loads((tmp_path / "good.json").read_text("utf-8"))


def setter(*place, value):
    def change(document):
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = value

    return change


def deleter(*place):
    def change(document):
        for key in place[:-1]:
            document = document[key]
        del document[place[-1]]

    return change


def scale_rotation(document):
    pose = document["grasps"][1]["pose"]
    document["grasps"][1]["pose"] = [[2 * x for x in row[:3]] + row[3:] for row in pose[:3]] + [
        pose[3]
    ]


def mirror(document):
    pose = document["grasps"][1]["pose"]
    document["grasps"][1]["pose"] = [[-row[0], *row[1:]] for row in pose]


BROKEN = {
    "another format": (
        setter("format", value="moveit"),
        "format of the file must be .* got 'moveit'",
    ),
    "format is a number": (setter("format", value=3), "got 3"),
    "no format": (deleter("format"), "neither a format"),
    "a newer version": (
        setter("version", value=2),
        "version of the file must be at most 1, got 2",
    ),
    "no version": (deleter("version"), "version of the file must be 1, got nothing"),
    "version is text": (setter("version", value="1"), "version of the file must be 1, got '1'"),
    "unknown unit": (setter("unit", value="furlong"), "unit must be one of .* 'furlong'"),
    "unit is a number": (setter("unit", value=1000), "unit must be text, got 1000"),
    "world frame": (setter("frame", value="world"), "got 'world'"),
    "parallel axes": (setter("gripper", "closing", value="-z"), "perpendicular"),
    "unknown axis": (setter("gripper", "approach", value="up"), "approach axis .* 'up'"),
    "no grasps": (deleter("grasps"), "grasps must be a list, got nothing"),
    "grasps is text": (setter("grasps", value="many"), "grasps must be a list, got 'many'"),
    "a grasp is a list": (setter("grasps", 2, value=[1]), "grasp 2 must be a mapping"),
    "no pose": (deleter("grasps", 3, "pose"), "pose of grasp 3 must be a list of 4 rows"),
    "three rows": (setter("grasps", 0, "pose", value=[[1, 0, 0, 0]] * 3), "got a list of length 3"),
    "a short row": (setter("grasps", 0, "pose", 1, value=[1, 2]), "row 1 of the pose of grasp 0"),
    "text in a pose": (setter("grasps", 0, "pose", 1, 2, value="0.5"), "a number, got '0.5'"),
    "true in a pose": (setter("grasps", 0, "pose", 1, 2, value=True), "a number, got True"),
    "null in a pose": (setter("grasps", 0, "pose", 1, 2, value=None), "a number, got nothing"),
    "NaN in a pose": (setter("grasps", 4, "pose", 0, 3, value=math.nan), "grasp 4 must be finite"),
    "infinity": (setter("grasps", 4, "pose", 0, 3, value=-math.inf), "must be finite, got -inf"),
    "a huge integer": (setter("grasps", 4, "pose", 0, 3, value=10**400), "must be finite"),
    "scaled rotation": (
        scale_rotation,
        "rotation of grasp 1 is not orthonormal: .* by 3, expected",
    ),
    "reflection": (mirror, "rotation of grasp 1 is a reflection"),
    "zero rotation": (
        setter("grasps", 0, "pose", value=[[0] * 4] * 3 + [[0, 0, 0, 1]]),
        "differs from the identity by 1, expected",
    ),
    "last row": (setter("grasps", 0, "pose", 3, value=[0, 0, 0, 2]), "last row .* got 0 0 0 2"),
    "energy is NaN": (setter("grasps", 5, "energy", value=math.nan), "energy of grasp 5 .* finite"),
    "energy of some": (deleter("grasps", 5, "energy"), "grasp 5 has no energy, but other"),
    "energy is text": (setter("grasps", 5, "energy", value="low"), "energy of grasp 5"),
    "probability 1.2": (
        setter("grasps", 5, "success_probability", value=1.2),
        "success_probability of grasp 5 must be between 0 and 1, got 1.2",
    ),
    "negative width": (setter("grasps", 6, "width", value=-0.01), "width of grasp 6 .* at least 0"),
    "success is 2": (
        setter("grasps", 6, "success", value=2),
        "success of grasp 6 .* true or false",
    ),
    "scale is 0": (setter("object", "scale", value=0), "object_scale must be positive"),
    "scale is negative": (setter("object", "scale", value=-1.0), "object_scale must be positive"),
    "scale is text": (setter("object", "scale", value="1"), "scale must be a number, got '1'"),
    "mass is 0": (setter("object", "mass", value=0), "mass must be positive"),
    "friction is negative": (
        setter("object", "friction", value=-1),
        "friction must be .* at least 0",
    ),
    "object is a list": (setter("object", value=["mug.obj"]), "object must be a mapping"),
    "file is a number": (setter("object", "file", value=7), "file must be text, got 7"),
    "two coordinates": (setter("object", "center_of_mass", value=[0, 1]), "list of 3 numbers"),
    "gripper is text": (setter("gripper", value="panda"), "gripper must be a mapping, got 'panda'"),
    "sampler is text": (setter("sampler", value="x" * 1000), "sampler must be a mapping"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_json_is_refused(case, document, tmp_path):
    change, sentence = BROKEN[case]
    change(document)
    path = tmp_path / "g.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(InputError, match=sentence):
        read_grasps(path)
    refusal(path)


def test_empty_list_needs_a_reason(document, tmp_path):
    path = tmp_path / "g.json"
    path.write_text(json.dumps(document | {"grasps": [], "reason": None}))
    assert "the file contains neither grasps nor a reason for their absence" in refusal(path)
    path.write_text(json.dumps(document | {"grasps": [], "reason": "too wide"}))
    assert read_grasps(path).reason == "too wide"


@pytest.mark.extras
def test_our_json_truncated_anywhere_is_refused(document, tmp_path):
    whole = (tmp_path / "good.json").read_bytes()
    path = tmp_path / "g.json"
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        assert "not JSON" in refusal(path) or length == 0
    assert "may be truncated" in refusal(path)
    path.write_bytes(b"")
    assert "the text is empty" in refusal(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not json at all", "the text is not JSON: .* at line 1, column 1"),
        (b"\xff\xfe\x00\x01", "not UTF-8 text"),
        (b"[]", "the top level must be a mapping, got a list of length 0"),
        (b"3", "the top level must be a mapping, got 3"),
        (b"{}", "neither a format"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"a": ' * 100_000, "nested too deeply|not JSON"),
        (b'{"unit": "mm", "unit": "metre"}', "the key 'unit' more than once"),
        (b'{"a": [{"b": {"c": 1, "d": 2, "c": 1}}]}', "the key 'c' more than once"),
        (b'{"format": "pcdiff-grasp/grasps", "version": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_invalid_json_is_refused(content, sentence, tmp_path):
    path = tmp_path / "g.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_grasps(path)
    refusal(path)


def test_a_byte_order_mark_is_accepted(grasps, tmp_path):
    path = tmp_path / "g.json"
    write_grasps(path, grasps)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert (read_grasps(path).poses == grasps.ranked().poses).all()


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "g.json"
    with path.open("wb") as file:
        file.truncate(documents.LARGEST_FILE + 1)  # a sparse file takes no space
    assert "bytes, expected at most" in refusal(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("g.json", "does not exist"), ("g.pkl", "expected the extension"), ("g", "expected the ext")],
)
def test_missing_files_and_unknown_extensions_are_refused(name, sentence, tmp_path):
    assert sentence in refusal(tmp_path / name)


def test_a_folder_is_not_a_file(tmp_path):
    (tmp_path / "g.json").mkdir()
    assert "is not a file" in refusal(tmp_path / "g.json")


# --- GraspGen and Isaac ---------------------------------------------------------------------------


@pytest.fixture
def graspgen(grasps):
    return {
        "object": {"file": "mug.obj", "scale": 1.0},
        "gripper": {},
        "grasps": {"transforms": grasps.poses.tolist(), "object_in_gripper": [1] * 7},
    }


OFFSET = "transform_offset_from_asset_to_graspgen_convention"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            setter("grasps", "object_in_gripper", value=[True] * 6),
            "object_in_gripper has 6 entries, but there are 7 transforms",
        ),
        (setter("grasps", "object_in_gripper", value=[0.5] * 7), "true or false, got 0.5"),
        (setter("grasps", "object_in_gripper", value="all"), "must be a list, got 'all'"),
        (setter("grasps", "transforms", value={}), "transforms must be a list, got a mapping"),
        (setter("grasps", "transforms", value=[]), "has 7 entries, but there are 0"),
        (
            setter("grasps", "transforms", 0, value=[1] * 16),
            "rows, got a list of length 16",
        ),
        (deleter("grasps", "transforms"), "nor the grasps.transforms of GraspGen"),
        (setter("object", "scale", value=0), "object_scale must be positive"),
        (setter("gripper", OFFSET, value=[[0, 0, 0], [0, 0, 0, 2]]), "norm 1, got 2"),
        (setter("gripper", OFFSET, value=[[0, 0], [0, 0, 0, 1]]), "list of 3 numbers"),
        (setter("gripper", OFFSET, value=[1.0] * 16), "last row"),
        (setter("gripper", OFFSET, value=7), "must be a list of 4 rows, got 7"),
        (setter("frame", value="world"), "got 'world'"),
        (setter("unit", value="parsec"), "got 'parsec'"),
    ],
)
def test_broken_graspgen_is_refused(change, sentence, graspgen, tmp_path):
    change(graspgen)
    path = tmp_path / "g.json"
    path.write_text(json.dumps(graspgen))
    assert sentence in refusal(path)


@pytest.fixture
def isaac(grasps, tmp_path):
    write_grasps(tmp_path / "good.yaml", grasps)
    return yaml.safe_load((tmp_path / "good.yaml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (setter("format_version", value=2.0), "format_version of the file must be 1.0, got 2.0"),
        (setter("grasps", value=[1]), "grasps must be a mapping, got a list of length 1"),
        # The reason is removed below.
        (setter("grasps", value={}), "contains neither grasps nor a reason"),
        (setter("grasps", "grasp_1", value=3), "grasp_1 must be a mapping, got 3"),
        (deleter("grasps", "grasp_1", "position"), "position of grasp_1 must be a list"),
        (deleter("grasps", "grasp_1", "orientation"), "orientation of grasp_1 must be a mapping"),
        (deleter("grasps", "grasp_1", "orientation", "w"), "w, must be a number, got nothing"),
        (
            setter("grasps", "grasp_1", "orientation", value={"w": 1, "xyz": [1, 1, 1]}),
            "quaternion of grasp_1 must have norm 1, got 2",
        ),
        (
            setter("grasps", "grasp_1", "orientation", value={"w": 0, "xyz": [0, 0, 0]}),
            "norm 1, got 0",
        ),
        (setter("grasps", "grasp_1", "orientation", value=[1, 0, 0, 0]), "got a list of length 4"),
        (setter("grasps", "grasp_1", "position", value=[0, math.nan, 0]), "must be finite"),
        (setter("grasps", "grasp_1", "confidence", value=7), "between 0 and 1, got 7"),
        (deleter("grasps", "grasp_1", "confidence"), "grasp 1 has no success_probability"),
        (setter("gripper_frame", value=[1]), "gripper_frame must be text, got a list of length 1"),
    ],
)
def test_broken_isaac_is_refused(change, sentence, isaac, tmp_path):
    del isaac["reason"]
    change(isaac)
    path = tmp_path / "g.yaml"
    path.write_text(yaml.safe_dump(isaac))
    assert sentence in refusal(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [1, 2", "the text is not YAML: .* at line"),
        ("", "the top level must be a mapping, got nothing"),
        ("\x00", "not YAML"),
        ("- 1", "got a list of length 1"),
        ("format: isaac_grasp\n? [a, b]\n: 1", "not YAML"),
        ("a: 2020-13-45", "not YAML"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
        ("a: &a [*a]", "neither a format"),
        # libyaml looks ahead after a bracket and has its own limit since PyYAML 6.0.4.
        ("a: " + "[" * 100_000, "nested too deeply|exceeded maximum nesting depth"),
        ("- " * 100_000, "nested too deeply"),
        ("a: &a {<<: *a}", "nested too deeply|neither a format"),
        ('a: !!bool "abc"', "a value does not match its tag"),
        ('a: !!timestamp "abc"', "a value does not match its tag"),
        ('a: !!int ""', "a value does not match its tag"),
        ('a: !!float ""', "a value does not match its tag"),
        (f"a: {'9:' + '59:' * 300}0.5", "a value does not match its tag"),
        (f"grasps: {{transforms: 0x{'f' * 5000}}}", "list, got a number of thousands of digits"),
        ("name: a\nb: 1\nname: b", "the key 'name' more than once, at line 3"),
        ("a: {1: x, '1': y, 1: z}", "the key '1' more than once, at line 1"),
    ],
)
def test_invalid_yaml_is_refused(content, sentence, tmp_path):
    path = tmp_path / "g.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_grasps(path)
    refusal(path)


def test_yaml_merges_may_repeat_keys(isaac, tmp_path):
    path = tmp_path / "g.yaml"
    # `deeper` is built after `use` has merged it. The keys are whole words because PyYAML 6.0.4
    # compares keys by the identity of their strings and confuses short strings that Python shares.
    path.write_text(
        yaml.safe_dump(isaac)
        + "base: &base {one: 1, two: 2}\nhide: {more: {deeper: &deeper {<<: *base, one: 3}}}\n"
        + "use: {<<: *deeper, two: 4}\n"
    )
    assert documents.read_document(path)["use"] == {"one": 3, "two": 4}
    assert len(read_grasps(path)) == 7


def test_exponentially_nested_yaml_references_are_refused(tmp_path):
    lines = ["a0: &a0 [0, 0, 0, 0]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    lines.append("grasps: {transforms: *a11}")
    path = tmp_path / "g.yaml"
    path.write_text("\n".join(lines))
    assert "pose of grasp 0 must be a list of 4 rows, got a list of length 9" in refusal(path)
