"""Labels of a folder: what they are, what they depend on, and what the data card states."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import trimesh

from datasets.household import read_catalogue
from datasets.household.__main__ import main as household
from datasets.jaws import write_jaws
from datasets.labels import Settings, label_folder
from datasets.labels.__main__ import main
from grasp.field.items import grippers_in
from grasp.formats import PER_GRASP, read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.candidates import FAR_MISS, KINDS, candidates
from grasp.judging.proportions import cluster_bootstrap, wilson_interval
from grasp.objects.loading import load_object
from grasp.physics import PROTOCOL, Conditions, simulate, simulate_drawn
from pcdiff.errors import InputError

OUTPUT = Path("grasps") / "panda"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / OUTPUT).glob("*.h5")}


def program(*arguments, of=main):
    with pytest.raises(SystemExit) as caught:
        of([str(argument) for argument in arguments])
    return caught.value.code


# --- What the labels are --------------------------------------------------------------------------


def test_labels_are_the_simulated_outcomes_of_the_candidates(labelled, settings):
    """Candidates depend on the seed; mass and friction come from the catalogue."""
    folder, _ = labelled
    gripper = load_gripper("panda")
    for entry in read_catalogue(folder):
        found = read_grasps(folder / OUTPUT / f"{entry.name}.h5")
        obj = load_object(folder / entry.file)
        rng = np.random.default_rng([7, 101, int(obj.sha256, 16)])
        drawn = candidates(obj, gripper, len(found), rng, near_misses=0.25)
        conditions = Conditions(mass=entry.mass, friction=entry.friction)
        trials = simulate(obj, gripper, drawn.poses, conditions)
        np.testing.assert_array_equal(found.poses, drawn.poses)
        np.testing.assert_array_equal(found.success, trials.success)
        np.testing.assert_array_equal(found.failure, trials.failure)
        np.testing.assert_array_equal(found.width, trials.width)
        assert found.sampler["kinds"] == drawn.kinds.tolist()
        assert (found.mass, found.friction) == (entry.mass, entry.friction)
        assert (found.protocol, found.gripper) == (PROTOCOL.version, "panda")
        np.testing.assert_allclose(found.center_of_mass, obj.centre, atol=1e-12)
        assert found.sampler["seed"] == 7 and found.sampler["count"] == settings.count


def test_both_outcomes_and_all_kinds_are_kept(labelled):
    found = [read_grasps(path) for path in sorted((labelled[0] / OUTPUT).glob("*.h5"))]
    assert {len(each) for each in found} == {12}
    outcomes = np.concatenate([each.success for each in found])
    assert outcomes.any() and not outcomes.all()
    assert {kind for each in found for kind in each.sampler["kinds"]} == {*KINDS} - {FAR_MISS}


def test_labels_under_one_draw_each_are_repeatable_and_state_it(a_set, tmp_path):
    """The draws depend on the seed and on the object; the catalogue's friction has no effect."""
    folder = Path(shutil.copytree(a_set, tmp_path / "set"))
    gripper = load_gripper("panda")
    settings = Settings(gripper, 30, 0.2, 7, far_misses=0.3, uncertain=True)
    (name,) = [entry.name for entry in read_catalogue(folder)][:1]
    done = label_folder(folder, settings, names=[name], workers=1)
    assert list(done.card["by_object"]) == [name] and done.card["uncertainty"] == "1"
    assert "--far-misses 0.3" in done.card["command"] and "--uncertain" in done.card["command"]
    assert "under its own draw of friction" in (done.output / "README.md").read_text("utf-8")
    found = read_grasps(done.output / f"{name}.h5")
    obj = load_object(folder / "meshes" / f"{name}.obj")
    seed = int(np.random.default_rng([7, 104, int(obj.sha256, 16)]).integers(2**62))
    trials = simulate_drawn(obj, gripper, found.poses, seed, Conditions(mass=found.mass))
    assert found.failure.tolist() == trials.failure.tolist()
    assert found.friction is None
    kinds = np.array(found.sampler["kinds"])
    assert (kinds == FAR_MISS).sum() >= 3 and found.sampler["uncertainty"] == "1"
    plain = dataclasses.replace(settings, uncertain=False)
    with pytest.raises(InputError, match=r"friction must be .*, got None"):
        label_folder(folder, plain, names=[name], workers=1)


def test_the_gripper_is_described_beside_its_labels(a_set, tmp_path):
    """So labels of a gripper that is not shipped can be read without its file."""
    folder = Path(shutil.copytree(a_set, tmp_path / "set"))
    (path,) = write_jaws(tmp_path / "jaws", 1, 0)
    hand = load_gripper(path)
    (name,) = [entry.name for entry in read_catalogue(folder)][:1]
    label_folder(folder, Settings(hand, 3), names=[name], workers=1)
    (found,) = grippers_in(folder, [])
    assert (found.name, found.sha256) == (hand.name, hand.sha256)
    # A refused run with another gripper of the same name leaves the description as it is.
    other = dataclasses.replace(hand, stroke=0.9 * hand.stroke)
    with pytest.raises(InputError, match=r"made under different conditions: .*gripper"):
        label_folder(folder, Settings(other, 3), names=[name], workers=1)
    assert grippers_in(folder, [])[0].sha256 == hand.sha256


def test_the_files_have_the_schema_of_acronym(labelled):
    """The schema that acronym_tools reads: the mesh relative to a root, labels as integers."""
    folder, _ = labelled
    entry = read_catalogue(folder)[0]
    with h5py.File(folder / OUTPUT / f"{entry.name}.h5") as file:
        assert file["object/file"][()].decode() == entry.file
        assert file["object/scale"][()] == 1
        assert file["gripper/type"][()].decode() == "panda"
        assert file["grasps/transforms"].shape == (12, 4, 4)
        assert set(file["grasps/qualities/flex/object_in_gripper"][()]) <= {0, 1}


def test_a_folder_can_be_moved(copy, settings):
    """Files name their meshes relative to the folder, so their labels stay valid."""
    moved = copy.rename(copy.with_name("moved"))
    for path in (moved / OUTPUT).glob("*.h5"):
        found = read_grasps(path)
        assert load_object(moved / found.object_file).sha256 == found.object_sha256
    done = label_folder(moved, settings)
    assert (done.made, done.kept, done.skipped) == (0, 4, ())


def test_workers_and_other_objects_change_no_bit(a_set, labelled, tmp_path):
    """The card's command in one process on two objects equals two processes on all four."""
    folder = shutil.copytree(a_set, tmp_path / "part")
    catalogue = json.loads((folder / "catalogue.json").read_text())
    catalogue["objects"] = catalogue["objects"][:1:-1]
    (folder / "catalogue.json").write_text(json.dumps(catalogue))
    words = labelled[1].card["command"].split()
    assert words[:4] == ["python", "-m", "datasets.labels", "FOLDER"]
    assert program(folder, *words[4:], "--workers", 1) == 0
    part, whole = files(folder), files(labelled[0])
    assert len(part) == 2
    assert part == {name: whole[name] for name in part}


def test_household_labels_what_it_has_made(tmp_path, capsys):
    """`--labels` makes the labels that `datasets.labels` would make for the same seed."""
    arguments = ["--families", "box", "--count", 1, "--seed", 3, "--no-sheet", "--output", tmp_path]
    assert program(*arguments, "--labels", 8, "--gripper", "panda", "--json", of=household) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert (results["labels"]["made"], results["labels"]["grasps"]) == (1, 8)
    assert program(tmp_path, "--count", 8, "--seed", 3, "--json") == 0
    again = json.loads(capsys.readouterr().out)["results"]
    assert (again["made"], again["kept"]) == (0, 1)
    assert again["card"] == results["labels"]["card"]
    assert program(*arguments, "--gripper", "panda", of=household) == 2
    sentence = "--gripper needs --labels, because only labels depend on a gripper"
    assert capsys.readouterr().err == f"error: {sentence}\n"


# --- Continuing a run -----------------------------------------------------------------------------


def test_what_is_there_is_kept_and_what_is_missing_made(copy, labelled, settings):
    whole = files(copy)
    gone, *kept = sorted((copy / OUTPUT).glob("*.h5"))
    gone.unlink()
    (copy / OUTPUT / ".partial-0123456789abcdef.h5").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in kept}
    done = label_folder(copy, settings, workers=1)
    assert (done.made, done.kept, done.grasps) == (1, 3, 12)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert files(copy) == whole
    assert not list((copy / OUTPUT).glob(".partial-*"))
    there = {path.name for path in (copy / OUTPUT).iterdir()}
    assert there == {*whole, "README.md", "card.json", "gripper.toml"}
    assert {**done.card, "date": ""} == {**labelled[1].card, "date": ""}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seed": 8}, "seed must be 8, got 7"),
        ({"count": 13}, "count must be 13, got 12"),
        ({"near_misses": 0.5}, "near_misses must be 0.5, got 0.25"),
        ({"gripper": replace(load_gripper("panda"), stroke=0.07)}, "gripper_sha256 must be"),
    ],
)
def test_labels_of_other_settings_are_refused(copy, settings, change, difference):
    whole = files(copy)
    with pytest.raises(InputError, match=f"made under different conditions: {difference}"):
        label_folder(copy, replace(settings, **change))
    assert files(copy) == whole


@pytest.mark.parametrize("quantity", ["mass", "friction"])
def test_labels_of_another_object_are_refused(copy, settings, quantity):
    path = copy / "catalogue.json"
    catalogue = json.loads(path.read_text())
    catalogue["objects"][2][quantity] *= 2
    path.write_text(json.dumps(catalogue))
    with pytest.raises(InputError, match=f"made under different conditions: {quantity} must be"):
        label_folder(copy, settings)


def test_a_set_that_was_changed_is_refused(copy, settings):
    """A mesh that is not the one in the catalogue, and changed parts of the same mesh."""
    entry = read_catalogue(copy)[0]
    parts = copy / entry.parts
    text = parts.read_text()
    *rest, last = text.splitlines()
    _, a, b, c = last.split()
    parts.write_text("\n".join([*rest, f"f {b} {c} {a}"]) + "\n")
    with pytest.raises(InputError, match="made under different conditions: parts must be"):
        label_folder(copy, settings)
    parts.write_text(text)
    mesh = copy / entry.file
    mesh.write_text(mesh.read_text() + "\n")
    with pytest.raises(InputError, match=f"{entry.name}.obj is not the mesh that the catalogue"):
        label_folder(copy, settings)


# --- Any folder of meshes -------------------------------------------------------------------------


def test_a_folder_of_meshes_good_and_bad(tmp_path, monkeypatch, capsys):
    """Objects that cannot be labelled are skipped with a reason, in the output and in the card."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "meshes"
    (folder / "more").mkdir(parents=True)
    trimesh.creation.box((50, 40, 30)).export(folder / "good.stl")
    trimesh.creation.box((500, 400, 300)).export(folder / "more" / "wide.stl")
    (folder / "broken.obj").write_text("v 1 2\n")
    trimesh.PointCloud(np.random.default_rng(0).normal(size=(50, 3))).export(folder / "cloud.ply")
    options = ["--count", 6, "--scale", 0.001, "--density", 300, "--friction", 0.5]
    assert program(folder, *options, "--workers", 1, "--json") == 0
    out, err = capsys.readouterr()
    results = json.loads(out)["results"]
    assert (results["made"], results["grasps"]) == (2, 6)
    skipped = [line.removeprefix("skipped: ") for line in err.splitlines()]
    assert skipped == results["skipped"] == results["card"]["skipped"]
    assert [sentence.split(":")[0] for sentence in skipped] == ["broken_obj", "cloud_ply"]

    good = read_grasps(folder / OUTPUT / "good_stl.h5")
    assert (good.object_file, good.object_scale, good.friction) == ("good.stl", 0.001, 0.5)
    np.testing.assert_allclose(good.mass, 300 * 0.05 * 0.04 * 0.03, rtol=1e-6)
    wide = read_grasps(folder / OUTPUT / "more_wide_stl.h5")
    assert len(wide) == 0 and wide.reason.startswith("no two opposite contacts within the 0.08 m")
    card = json.loads((folder / OUTPUT / "card.json").read_text())
    assert "more_wide_stl" in card["without_success"]
    assert (card["objects"], card["grasps"]) == (2, 6)
    assert card["command"].endswith("--scale 0.001 --density 300 --friction 0.5")

    assert program(folder, *options, "--workers", 1) == 0
    assert capsys.readouterr().out.startswith("labelled 0 grasps of 0 objects")
    assert program(folder, *options[:-1], 0.6, "--workers", 1) == 2
    assert "friction must be 0.6, got 0.5" in capsys.readouterr().err


def test_each_bad_argument_gives_a_one_line_error(a_set, settings, tmp_path, capsys):
    solids = tmp_path / "solids"
    solids.mkdir()
    trimesh.creation.box((0.05, 0.04, 0.03)).export(solids / "box.stl")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, expected in [
        ([tmp_path / "none"], "does not exist or is not a folder"),
        ([empty], "has no mesh"),
        ([a_set, "--gripper", "hook"], "there is no gripper 'hook'"),
        ([a_set, "--friction", 0.5], "has a catalogue, which states scale, mass and friction"),
        ([a_set, "--near-misses", 2], "--near-misses"),
        ([a_set, "--count", 10**11], "--count"),
        ([a_set, "--workers", 9999], "workers, 4 for each CPU core, got 9999"),
        ([solids, "--friction", "nan"], "the friction must be a number above 0, got nan"),
        ([solids, "--friction", 1e300], "the friction must be at most 100"),
        ([solids, "--density", -1], "the density must be a number above 0, got -1"),
        ([solids, "--scale", 0], "the scale must be a finite number above 0, got 0"),
        ([a_set, "--ray", "somewhere"], "must be local, auto or HOST:PORT, got 'somewhere'"),
        ([a_set, "--ray", "127.0.0.1:1"], "there is no Ray cluster at 127.0.0.1:1"),
    ]:
        if "--ray" in arguments:
            pytest.importorskip("ray")
        assert program(*arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and expected in line
    assert list(solids.iterdir()) == [solids / "box.stl"]
    with pytest.raises(InputError, match="at least 1 candidate per object"):
        replace(settings, count=0)
    for name in ("a b", "a_b"):
        trimesh.creation.box((0.05, 0.04, 0.03)).export(empty / f"{name}.stl")
    with pytest.raises(InputError, match=r"a b.stl and a_b.stl, .* a_b_stl.h5: rename one of"):
        label_folder(empty, settings)


def test_a_set_without_one_object_to_label_is_bad_input(tmp_path, capsys):
    trimesh.creation.box((0.05, 0.04, 0.03)).export(tmp_path / "box.stl")
    assert program(tmp_path, "--scale", 1e9) == 2
    out, err = capsys.readouterr()
    skipped, error = err.splitlines()
    assert out == "" and skipped.startswith("skipped: box_stl: ")
    assert error == f"error: no object in {tmp_path} can be labelled"


# --- The card -------------------------------------------------------------------------------------


def test_the_card_counts_what_is_in_the_files(labelled):
    """Every figure equals a count by h5py alone, and every interval equals its definition."""
    folder, done = labelled
    card = json.loads((folder / OUTPUT / "card.json").read_text())
    assert card == done.card
    success, reasons, families, kinds = {}, Counter(), {}, {}
    for entry in read_catalogue(folder):
        with h5py.File(folder / OUTPUT / f"{entry.name}.h5") as file:
            held = file["grasps/qualities/flex/object_in_gripper"][()] == 1
            reasons.update(text.decode() for text in file["pcdiff_grasp/failure"][()])
            of_kind = np.array(json.loads(file["pcdiff_grasp/sampler"][()])["kinds"])
        success[entry.name] = held
        families.setdefault(entry.family, []).append(held)
        for kind in np.unique(of_kind):
            kinds.setdefault(str(kind), []).append(held[of_kind == kind])

    def check(figures, outcomes):
        counted = np.concatenate(outcomes)
        assert figures["grasps"] == len(counted)
        assert figures["successes"] == counted.sum()
        assert figures["success_rate"] == pytest.approx(counted.mean())
        if len(outcomes) > 1:
            rng = np.random.default_rng([7, 102])
            low, high = cluster_bootstrap(outcomes, rng)[1:]
        else:
            low, high = wilson_interval(int(counted.sum()), len(counted))
        assert figures["success_rate_interval"] == [low, high]

    check(card, list(success.values()))
    assert card["objects"] == 4
    assert card["families"].keys() == families.keys() == {"box", "bowl", "knob"}
    for family, outcomes in families.items():
        check(card["families"][family], outcomes)
        assert card["families"][family]["objects"] == len(outcomes)
    assert card["kinds"].keys() == kinds.keys()
    for kind, outcomes in kinds.items():
        check(card["kinds"][kind], outcomes)
    held = reasons.pop("")
    assert (held, dict(reasons)) == (card["successes"], card["failures"])
    assert card["without_success"] == [name for name, each in success.items() if not each.any()]
    assert {n: e["successes"] for n, e in card["by_object"].items()} == {
        name: each.sum() for name, each in success.items()
    }
    assert card["licences"] == {"MIT": 4}
    assert card["made_with"].keys() == {"pcdiff-grasp", "mujoco", "scipy", "numpy"}


def test_the_readme_says_what_the_card_says(labelled):
    folder, done = labelled
    text = (folder / OUTPUT / "README.md").read_text()
    card = done.card
    assert f"48 grasps of 4 objects, {card['successes']} of which hold" in text
    low, high = (100 * end for end in card["success_rate_interval"])
    row = f"| all | 4 | 48 | {card['successes']} | {100 * card['success_rate']:.1f} "
    assert f"{row}({low:.1f} to {high:.1f}) |" in text
    assert f"`{card['command']}`" in text and str(folder) not in text
    assert "Nothing was tried on a real robot" in text and "MIT (4)" in text


def test_every_array_survives_the_file(labelled):
    """The file keeps everything that the simulation reports about a grasp."""
    path = next((labelled[0] / OUTPUT).glob("*.h5"))
    assert set(read_grasps(path).arrays()) == {"success", "width", "failure"} <= set(PER_GRASP)


def test_settings_are_checked():
    with pytest.raises(InputError, match=r"near misses must be from 0 to 1, got 1\.5"):
        Settings(load_gripper("panda"), near_misses=1.5)
