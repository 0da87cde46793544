"""The program that makes the sets: equal digests, refusals, and the committed file of splits."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh

from datasets.frozen.__main__ import main
from datasets.frozen.folder import SetFolder
from datasets.frozen.sets import RECIPES
from datasets.frozen.splits import (
    HALVES,
    SPLITS,
    halves,
    kind_of_mesh,
    read_splits,
    scanned_files,
)
from datasets.household.objects import FAMILIES
from grasp.judging.benchmark import SET_FILE, load_set
from pcdiff.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def program(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


@pytest.fixture
def splits(tmp_path):
    """Splits of sets that are made quickly, with two scanned meshes in the folder `scans`."""
    document = json.loads(SPLITS.read_text("utf-8"))
    scans = tmp_path / "scans"
    scans.mkdir()
    for name, size in (("brick", 0.03), ("slab", 0.05)):
        trimesh.creation.box((size, 0.04, 0.05)).export(scans / f"{name}.stl")
    document["scanned"] = {
        path.stem: {"half": half, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path, half in zip(sorted(scans.iterdir()), HALVES, strict=True)
    }
    sets = document["sets"]
    sets["made"]["families"] = ["mug", "knife"]
    sets["resting"] |= {"families": ["bowl"], "scanned": ["slab"]}
    sets["views"] |= {"families": ["wrench"], "views": 2}
    for entry in sets.values():
        entry["digest"] = None
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(document))
    return path


QUICK = ("scanned-tune", "scanned-report", "made", "resting", "views")


def test_a_set_made_twice_has_the_same_bytes(splits, tmp_path, capsys):
    usual = ["--splits", splits, "--meshes", tmp_path / "scans", "--no-sheet", "--json", *QUICK]
    assert program("--output", tmp_path / "one", "--freeze", *usual) == 0
    made = json.loads(capsys.readouterr().out)["results"]["sets"]
    assert program("--output", tmp_path / "two", *usual) == 0
    assert json.loads(capsys.readouterr().out)["results"]["sets"] == made
    assert read_splits(splits).digests["views"] == made["views"]["digest"]
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*")]
    assert len(files) > 15
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    counts = {name: len(load_set(tmp_path / "two" / name).cases) for name in QUICK}
    assert counts == {
        "scanned-tune": 1, "scanned-report": 1, "made": 2, "resting": 4, "views": 2,
    }  # fmt: skip


def test_a_set_with_another_digest_is_refused(splits, tmp_path, capsys):
    document = json.loads(splits.read_text())
    document["sets"]["made"]["digest"] = "0" * 64
    splits.write_text(json.dumps(document))
    output = tmp_path / "sets"
    usual = ["--splits", splits, "--output", output, "--no-sheet", "made"]
    assert program(*usual) == 2
    said = capsys.readouterr().err
    assert re.search(
        rf"made is not the frozen set: its digest is \w{{64}}, expected {'0' * 64}", said
    )
    assert not (output / "made" / SET_FILE).exists()
    assert program("--freeze", *usual) == 0
    assert program(*usual) == 0


def test_a_sheet_is_drawn(splits, tmp_path):
    usual = ["--splits", splits, "--output", tmp_path / "sets", "--freeze", "made"]
    assert program(*usual) == 0
    assert (tmp_path / "sets/made/sheet.png").stat().st_size > 10_000
    load_set(tmp_path / "sets/made")  # the picture is no part of the set


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mades"], "there is no set 'mades', expected one of scanned-tune"),
        (["resting"], "the set resting contains scanned meshes: name their folder, --meshes"),
        (["--meshes", "none", "made"], "none does not exist or is not a folder"),
        (["--splits", "none.json", "made"], "none.json"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert program("--output", tmp_path / "sets", *arguments) == 2
    assert sentence in capsys.readouterr().err


def test_a_changed_scan_is_refused(splits, tmp_path, capsys):
    with (tmp_path / "scans/slab.stl").open("ab") as file:
        file.write(b" ")
    usual = ["--splits", splits, "--meshes", tmp_path / "scans", "--output", tmp_path / "sets"]
    assert program(*usual, "--freeze", "scanned-report") == 2
    assert "slab.stl is not the mesh of the frozen sets: its digest is" in capsys.readouterr().err


def test_a_scan_for_tuning_is_not_reported(splits, tmp_path, capsys):
    document = json.loads(splits.read_text())
    document["sets"]["resting"]["scanned"] = ["brick"]
    splits.write_text(json.dumps(document))
    usual = ["--splits", splits, "--meshes", tmp_path / "scans", "--output", tmp_path / "sets"]
    assert program(*usual, "--freeze", "resting") == 2
    assert "the mesh brick is not in the half of scanned meshes for reports" in (
        capsys.readouterr().err
    )


def test_a_used_seed_is_refused(splits, tmp_path, capsys):
    document = json.loads(splits.read_text())
    document["sets"]["made"]["seed"] = 2026
    splits.write_text(json.dumps(document))
    usual = ["--splits", splits, "--output", tmp_path / "sets", "--freeze", "made"]
    assert program(*usual) == 2
    assert "the seed 2026 was used before, by training set household" in capsys.readouterr().err


def test_only_sets_are_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"contains notes\.txt, which is no part of a set"):
        SetFolder(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


# --- The committed file ---------------------------------------------------------------------------


def test_halves_are_disjoint_complete_and_depend_on_names_only():
    scanned = read_splits().scanned
    names = list(scanned)
    assert {name: scan.half for name, scan in scanned.items()} == halves(names)
    assert halves(reversed(names)) == halves(names)
    tune, report = (read_splits().half(half) for half in HALVES)
    assert sorted([*tune, *report]) == sorted(names)
    assert len(names) == 50
    assert min(len(tune), len(report)) >= 20
    assert set(map(kind_of_mesh, tune)).isdisjoint(map(kind_of_mesh, report))


def test_no_seed_was_used_before():
    """The card of the weights and the studies name every seed of training data and evaluations."""
    splits = read_splits()
    chosen = {entry["seed"] for entry in splits.sets.values() if "seed" in entry}
    assert len(chosen) == 4
    card = (ROOT / "grasp/field/weights/panda-0.1.md").read_text("utf-8")
    trained = {int(seed) for seed in re.findall(r"--count \d+ --seed (\d+)", card)}
    assert {2026, 2027, 2028, 2029, 2031, 2032} <= trained
    assert trained <= set(splits.used_seeds)
    assert chosen.isdisjoint(splits.used_seeds)
    studies = "\n".join(
        path.read_text("utf-8")
        for pattern in ("experiments/*.py", "experiments/results/*.md", "docs/**/*.md")
        for path in ROOT.glob(pattern)
    )
    for seed in chosen:
        assert not re.search(rf"\b{seed}\b", studies)


def test_every_set_is_frozen_and_every_family_is_in_one():
    splits = read_splits()
    assert splits.sets.keys() == RECIPES.keys() == splits.digests.keys()
    assert all(re.fullmatch("[0-9a-f]{64}", digest or "") for digest in splits.digests.values())
    used = {family for entry in splits.sets.values() for family in entry.get("families", ())}
    later = {"large_block", "large_can", "slab"}  # these families came after the sets were frozen
    assert used | splits.sets["rough"]["made"].keys() == FAMILIES.keys() - later


def test_scans_have_the_stated_digests(shared_data):
    files = scanned_files(shared_data / "object_sim")
    stated = read_splits().scanned
    assert files.keys() == stated.keys()
    for name, path in files.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == stated[name].sha256


def test_the_frozen_set_made_is_made_again(tmp_path):
    assert program("--output", tmp_path, "--no-sheet", "made") == 0
    made = load_set(tmp_path / "made")
    assert made.digest == read_splits().digests["made"]
    for case in made.cases:
        assert case.origin["seed"] not in read_splits().used_seeds
        assert case.seen is case.truth
        assert case.truth.parts
        assert np.all((case.truth.extent > 0.002) & (case.truth.extent < 0.4))


SCANNED = [name for name, recipe in RECIPES.items() if recipe.scanned]


@pytest.mark.extras
def test_every_frozen_set_of_synthetic_objects_is_made_again(tmp_path):
    made = [name for name in RECIPES if name not in SCANNED]
    assert program("--output", tmp_path, "--no-sheet", *made) == 0
    for name in made:
        assert load_set(tmp_path / name).digest == read_splits().digests[name]


@pytest.mark.extras
def test_every_frozen_set_with_scans_is_made_again(tmp_path, shared_data):
    meshes = shared_data / "object_sim"
    assert program("--output", tmp_path, "--no-sheet", "--meshes", meshes, *SCANNED) == 0
    for name in SCANNED:
        assert load_set(tmp_path / name).digest == read_splits().digests[name]
