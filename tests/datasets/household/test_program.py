"""Sets of objects as folders, and the program that writes them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from datasets.household import make, make_set, read_catalogue
from datasets.household.__main__ import main
from datasets.household.catalogue import write_set
from datasets.household.meshes import PYBULLET_GROWTH, PYBULLET_SCALE
from datasets.household.shapes import Polyhedron, box, volume
from grasp.objects.loading import load_object
from pcdiff.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def program(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def write_obj(path, pieces):
    lines, first = [], 1
    for index, (vertices, faces) in enumerate(pieces):
        lines.append(f"o convex_{index}")
        lines += [f"v {x} {y} {z}" for x, y, z in vertices.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (faces + first).tolist()]
        first += len(vertices)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def pybullet_data(tmp_path, monkeypatch):
    """A package of that name that must not be imported, with good and bad meshes."""
    folder = tmp_path / "site" / "pybullet_data"
    meshes = folder / "random_urdfs"
    # Two boxes are 5 µm apart, in the unit of the real files, which have such gaps too.
    gap = 5e-6 / PYBULLET_SCALE
    write_obj(meshes / "000/000.obj", [box((0, 0, 0), (2, 2, 1)), box((0, 0, 1 + gap), (2, 2, 3))])
    write_obj(meshes / "001/001.obj", [box((0, 0, 0), (2, 2, 1)), box((0, 0, 2), (2, 2, 3))])
    write_obj(meshes / "002/002.obj", [box((0, 0, 0), (0.1, 0.1, 0.1))])
    write_obj(meshes / "003/003.obj", [box((0, 0, 0), (2, 3, 4))])
    (meshes / "168").mkdir()
    (meshes / "168/168.obj").write_text("")
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return folder


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path):
    things = list(make_set(3, seed=3, families=["mug", "hammer", "toy"]))
    entries = write_set(tmp_path, things, {"maker": "test"}, "MIT")
    assert read_catalogue(tmp_path) == entries
    for thing, entry in zip(things, entries, strict=True):
        path = tmp_path / entry.file
        assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (entry.mass, entry.friction) == (thing.mass, thing.friction)
        assert entry.parameters == thing.parameters
        loaded = load_object(path)
        corners = {tuple(vertex) for vertex in loaded.vertices.tolist()}
        assert corners == {tuple(vertex) for vertex in (thing.vertices + 0.0).tolist()}
        assert loaded.mesh().is_watertight
        assert volume(Polyhedron(loaded.vertices, loaded.faces)) == pytest.approx(
            entry.mass / entry.parameters["density"], rel=1e-12
        )
        assert len(loaded.parts) == len(thing.parts)
        for (vertices, faces), part in zip(loaded.parts, thing.parts, strict=True):
            assert np.array_equal(vertices[faces], part.vertices[part.faces])


def test_program_makes_a_set_that_a_larger_count_extends(tmp_path, capsys):
    arguments = ["--families", "bowl,box", "--seed", 5, "--output", tmp_path / "set"]
    assert program(*arguments, "--count", 2, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["command"] == "datasets.household"
    assert record["results"]["families"] == {"bowl": 1, "box": 1}
    before = read_catalogue(tmp_path / "set")
    assert before[1].parameters == make("box", 5, 1).parameters
    with Image.open(record["results"]["sheet"]) as sheet:
        tiles = np.asarray(sheet)
    # There are two tiles side by side; each shows something in its middle, in its own colour.
    height, width = tiles.shape[0], tiles.shape[1] // 2
    middles = [tiles[height // 2, side * width + width // 2].astype(int) for side in (0, 1)]
    assert all(middle.min() < 220 for middle in middles)
    assert np.abs(middles[0] - middles[1]).max() > 20
    assert program(*arguments, "--count", 3, "--no-sheet") == 0
    assert read_catalogue(tmp_path / "set")[:2] == before
    assert "bowl 2, box 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--families", "mug,sofa"], "the family 'sofa' does not exist"),
        (
            ["--families", "mug", "--pybullet"],
            "--families, --meshes and --pybullet cannot be used together",
        ),
        (
            ["--scale", "-1", "--pybullet"],
            "the scale of objects must be a finite number above 0, got",
        ),
        (["--licence", "CC0-1.0"], "--licence needs --meshes"),
        (["--licence", "CC0-1.0", "--pybullet"], "--licence needs --meshes"),
        (["--meshes", "nowhere"], "nowhere does not exist"),
        (["--count", "0"], "--count"),
        (["--count", "100000000000"], "--count"),
        (["--labels", "100000000000"], "--labels"),
        (
            ["--count", "1", "--density", "0"],
            "the density of objects must be a finite number above 0",
        ),
        (
            ["--count", "1", "--friction", "nan"],
            "the friction of objects must be a finite number above 0",
        ),
        (["--count", "1", "--roughness", "1"], "the roughness must be between 0 and 0.001 m, got"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, capsys, arguments, words):
    assert program("--output", tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_all_are_of_one_density_and_friction_if_asked(tmp_path):
    arguments = ["--families", "box,mug", "--count", 2, "--no-sheet", "--seed", 4]
    assert program(*arguments, "--output", tmp_path / "own") == 0
    given = ["--density", 150, "--friction", 1]
    assert program(*arguments, *given, "--output", tmp_path / "given") == 0
    own, light = read_catalogue(tmp_path / "own"), read_catalogue(tmp_path / "given")
    assert [entry.sha256 for entry in own] == [entry.sha256 for entry in light]
    for index, entry in enumerate(light):
        mesh = load_object(tmp_path / "given" / entry.file).mesh()
        assert entry.mass == pytest.approx(150 * mesh.volume)
        assert entry.friction == 1
        assert entry.parameters["density"] == 150
        assert own[index].mass != pytest.approx(entry.mass)


def test_parts_are_uneven_and_meshes_the_same_if_asked(tmp_path):
    arguments = ["--families", "box,mug", "--count", 2, "--no-sheet", "--seed", 4]
    assert program(*arguments, "--output", tmp_path / "even") == 0
    assert program(*arguments, "--roughness", 2e-4, "--output", tmp_path / "uneven") == 0
    even, uneven = read_catalogue(tmp_path / "even"), read_catalogue(tmp_path / "uneven")
    for one, other in zip(even, uneven, strict=True):
        assert (one.sha256, one.mass) == (other.sha256, other.mass)
        texts = [(tmp_path / name / one.parts).read_text() for name in ("even", "uneven")]
        assert texts[0] != texts[1]
        assert 0 < other.parameters["roughness"] < 2e-4


def test_another_seed_does_not_overwrite_a_set(tmp_path, capsys):
    arguments = ["--families", "box", "--count", 1, "--no-sheet", "--output", tmp_path]
    assert program(*arguments, "--seed", 1) == 0
    assert program(*arguments, "--seed", 2) == 2
    assert "another source" in capsys.readouterr().err
    assert [entry.seed for entry in read_catalogue(tmp_path)] == [1]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format": "other", "version": 1, "source": {}, "objects": []}',
        '{"format": "pcdiff-grasp/objects", "version": 1, "source": {}, "objects": [{"name": 1}]}',
        '{"format": "pcdiff-grasp/objects", "version": 1, "source": {}, "objects": []}',
        '{"format": "pcdiff-grasp/objects", "version": 1, "source": {}, "objects": {"a": 1}}',
        '{"format": "pcdiff-grasp/objects", "version": 1, "source": {}, "objects": [5]}',
        '{"version": ' + "9" * 5000 + "}",
        "[" * 10**5,
    ],
)
def test_damaged_catalogue_is_an_input_error(tmp_path, content):
    (tmp_path / "catalogue.json").write_text(content)
    with pytest.raises(InputError, match=r"catalogue\.json"):
        read_catalogue(tmp_path)


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        (
            "name",
            ["../../../evil", "/evil", "a/b", "", "\0", "x" * 241, 5, None],
            "the name of an",
        ),
        (
            "file",
            ["../x.obj", "/x.obj", "a/../../x.obj", "..\\x", "C:x", "", 5],
            "the file of",
        ),
        ("parts", ["../x.obj", 5], "the parts of"),
        ("family", [None, "", 5], "the family of"),
        ("licence", [[1], ""], "the licence of"),
        ("sha256", [5], "the sha256 of"),
        ("mass", ["abc", True, None, 0, -1, float("nan"), float("inf")], "the mass of"),
        ("friction", ["x", None, False, 0, float("inf")], "the friction of"),
        ("seed", [-1, 1.5, True], "the seed of"),
        ("index", ["0"], "the index of"),
        ("parameters", [None, []], "the parameters of"),
        ("colour", ["red"], "unexpected or missing fields"),
    ],
)
def test_a_field_of_the_catalogue_that_cannot_be(tmp_path, field, values, words):
    things = list(make_set(1, seed=3, families=["box"]))
    write_set(tmp_path, things, {"maker": "test"}, "MIT")
    path = tmp_path / "catalogue.json"
    sound = json.loads(path.read_text())
    for value in values:
        entry = sound["objects"][0] | {field: value}
        path.write_text(json.dumps(sound | {"objects": [entry]}))
        with pytest.raises(InputError, match=words) as caught:
            read_catalogue(tmp_path)
        assert str(path) in str(caught.value)


def test_an_object_cannot_be_written_outside_the_folder(tmp_path):
    (thing,) = make_set(1, seed=3, families=["box"])
    folder = tmp_path / "a" / "set"
    with pytest.raises(InputError, match=r"the name of an object must be .*, got '\.\./\.\./"):
        write_set(folder, [replace(thing, name="../../../evil")], {"maker": "test"}, "MIT")
    assert list(tmp_path.iterdir()) == []


def test_made_objects_larger_than_drawn(tmp_path):
    arguments = ["--families", "mug,hammer", "--count", 2, "--seed", 3, "--no-sheet"]
    assert program(*arguments, "--output", tmp_path / "drawn") == 0
    assert program(*arguments, "--output", tmp_path / "large", "--scale", 2.5) == 0
    for small, large in zip(
        *(read_catalogue(tmp_path / n) for n in ("drawn", "large")), strict=True
    ):
        assert large.mass == pytest.approx(2.5**3 * small.mass)
        one, other = (
            load_object(tmp_path / name / each.file)
            for name, each in (("drawn", small), ("large", large))
        )
        assert other.vertices == pytest.approx(2.5 * one.vertices, abs=1e-5)
        volumes = [sum(volume(Polyhedron(*part)) for part in each.parts) for each in (one, other)]
        assert volumes[1] == pytest.approx(2.5**3 * volumes[0], rel=1e-4)


def test_folder_of_meshes_in_millimetres(tmp_path, capsys):
    folder = tmp_path / "meshes"
    (folder / "deep").mkdir(parents=True)
    trimesh.creation.box((40, 50, 60)).export(folder / "block.stl")
    trimesh.creation.icosphere(radius=30).export(folder / "deep" / "round one.ply")
    (folder / "broken.obj").write_text("v 0 0 zero\n")
    write_obj(folder / "two.obj", [box((0, 0, 0), (20, 20, 40))])
    write_obj(
        folder / "two.parts.obj", [box((0, 0, 0), (20, 20, 20)), box((0, 0, 20), (20, 20, 40))]
    )
    output = tmp_path / "set"
    arguments = ["--meshes", folder, "--output", output, "--licence", "CC0-1.0", "--no-sheet"]
    assert program(*arguments, "--scale", 0.001) == 0
    assert "broken.obj" in capsys.readouterr().err
    entries = {entry.name: entry for entry in read_catalogue(output)}
    assert set(entries) == {"block_stl", "deep_round_one_ply", "two_obj"}
    block = load_object(output / entries["block_stl"].file)
    assert block.extent == pytest.approx([0.04, 0.05, 0.06], rel=1e-6)
    entry = entries["block_stl"]
    assert entry.mass == pytest.approx(entry.parameters["density"] * 0.04 * 0.05 * 0.06, rel=1e-6)
    assert (entry.licence, entry.parts, entry.family) == ("CC0-1.0", None, "mesh")
    parts = load_object(output / entries["two_obj"].file).parts
    assert sum(volume(Polyhedron(*part)) for part in parts) == pytest.approx(0.02 * 0.02 * 0.04)
    # If the files were in metres, the objects would be far too large.
    assert program("--meshes", folder, "--output", tmp_path / "other") == 2
    assert "no objects" in capsys.readouterr().err


def test_two_files_with_the_same_name_are_not_mixed_up(tmp_path, capsys):
    folder, output = tmp_path / "meshes", tmp_path / "set"
    for number, name in enumerate(["a b/x.stl", "a_b/x.stl", "A_B_x.stl", "a_b/x.ply"], 1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        trimesh.creation.box((0.01 * number, 0.1, 0.1)).export(folder / name)
    assert program("--meshes", folder, "--output", output, "--no-sheet") == 0
    error = capsys.readouterr().err
    entries = {entry.name: entry for entry in read_catalogue(output)}
    assert set(entries) == {"A_B_x_stl", "a_b_x_ply"}
    assert load_object(output / entries["A_B_x_stl"].file).extent[0] == pytest.approx(0.03)
    pair = f"{folder / 'a b/x.stl'} and {folder / 'A_B_x.stl'}"
    assert f"the meshes {pair} would both have the name" in error
    assert f"the meshes {folder / 'a_b/x.stl'} and" in error
    assert entries["a_b_x_ply"].licence == "unknown"


@pytest.mark.parametrize(
    ("meshes", "output"),
    [("raw", "raw"), ("raw", "raw/deep/set"), ("raw/meshes", "raw"), ("raw", "link")],
)
def test_a_set_is_not_written_among_its_sources(tmp_path, capsys, meshes, output):
    raw = tmp_path / "raw"
    (raw / "meshes").mkdir(parents=True)
    (tmp_path / "link").symlink_to(raw)
    trimesh.creation.box((0.05, 0.04, 0.03)).export(raw / "meshes" / "block.obj")
    before = sorted(tmp_path.rglob("*"))
    arguments = ["--meshes", tmp_path / meshes, "--output", tmp_path / output, "--no-sheet"]
    assert program(*arguments) == 2
    assert "would be written among the input meshes in" in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_flat_meshes_are_skipped_with_a_sentence(tmp_path, capsys):
    folder, output = tmp_path / "meshes", tmp_path / "set"
    folder.mkdir()
    square = "v 0 0 0\nv 0.1 0 0\nv 0.1 0.1 0\nv 0 0.1 0\n"
    (folder / "sheet.obj").write_text(square + "f 1 2 3\nf 1 3 4\n")
    (folder / "triangle.obj").write_text(square + "f 1 2 3\n")
    trimesh.creation.box((0.1, 0.1, 1e-9)).export(folder / "plate.stl")
    trimesh.creation.box((0.1, 0.1, 0.001)).export(folder / "card.stl")
    assert program("--meshes", folder, "--output", output, "--no-sheet") == 0
    error = capsys.readouterr().err
    for name in ("sheet.obj", "triangle.obj", "plate.stl"):
        assert f"the volume of {folder / name} must be at least 1 mm³, got" in error
    assert [entry.name for entry in read_catalogue(output)] == ["card_stl"]


def test_large_meshes_are_not_heavy(tmp_path):
    folder, output = tmp_path / "meshes", tmp_path / "set"
    folder.mkdir()
    trimesh.creation.box((0.5, 0.5, 0.5)).export(folder / "crate.stl")
    assert program("--meshes", folder, "--output", output, "--no-sheet") == 0
    (entry,) = read_catalogue(output)
    assert entry.mass == pytest.approx(1.5)
    assert entry.parameters["density"] == pytest.approx(1.5 / 0.125)


def test_a_smaller_count_cuts_the_catalogue_short(tmp_path):
    arguments = ["--families", "box", "--no-sheet", "--output", tmp_path]
    assert program(*arguments, "--count", 2) == 0
    first, second = read_catalogue(tmp_path)
    assert program(*arguments, "--count", 1) == 0
    assert read_catalogue(tmp_path) == [first]
    assert (tmp_path / second.file).is_file()


def test_pybullet_data_is_found_and_not_imported(tmp_path, pybullet_data, capsys):
    assert program("--pybullet", "--output", tmp_path / "set", "--no-sheet") == 0
    error = capsys.readouterr().err
    assert "001.obj must be one connected piece, got 2 pieces" in error
    assert "002.obj must be at least 2 cm³, got" in error
    assert "168.obj" in error
    assert "pybullet_data" not in sys.modules
    joined, single = read_catalogue(tmp_path / "set")
    assert (joined.name, single.name) == ("pybullet_000", "pybullet_003")
    assert joined.licence == "zlib"
    assert joined.parameters["scale"] == PYBULLET_SCALE
    loaded = load_object(tmp_path / "set" / joined.file)
    assert loaded.mesh().body_count == 1
    unit = PYBULLET_SCALE
    expected = np.array([2 * unit, 2 * unit, 3 * unit]) + 2 * PYBULLET_GROWTH
    assert loaded.extent == pytest.approx(expected, rel=1e-9)
    assert len(loaded.parts) == 2


def test_missing_pybullet_data_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert program("--pybullet", "--output", tmp_path) == 2
    assert "pip install pybullet" in capsys.readouterr().err


def test_program_starts_without_torch():
    code = "import sys, datasets.household.__main__; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


def test_without_manifold3d_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "manifold3d", None)
    with pytest.raises(SystemExit) as ended:
        main(["--count", "1", "--families", "mug", "--no-sheet", "--output", str(tmp_path / "set")])
    assert ended.value.code == 2
    assert 'install it with pip install ".[makers]"' in capsys.readouterr().err
