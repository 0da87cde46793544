"""Labels of a grasp field's samples, drawn from the whole object or from one view of it."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from datasets.household.shapes import box
from datasets.labels import Job, LabellingResult, Settings, label, label_folder
from datasets.labels.__main__ import main
from datasets.labels.folder import difference
from grasp import physics as simulation
from grasp.field.configuration import FieldConfig
from grasp.field.model import KIND
from grasp.field.networks.energy import NetworkConfig
from grasp.field.sampling import CLOUD_SAMPLING, Sampling
from grasp.field.trained import GraspField
from grasp.formats import read_grasps
from grasp.grippers.gripper import load_gripper
from grasp.judging.contacts import FRICTION
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.views import random_views
from pcdiff.errors import InputError
from pcdiff.learning import checkpoint
from pcdiff.manifolds import so3
from pcdiff.randomness import seeded

TINY = FieldConfig(energy=NetworkConfig(16, 1, 4), success=NetworkConfig(8, 1, 4))
COUNT, SEED = 6, 5


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """One thread, as in the labelling processes, so that sums agree to the last digit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """The weights of an untrained field."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model = GraspField.initialized(TINY, 0)
    checkpoint.save(path, KIND, {"model": TINY.as_dict()}, model.state_dict())
    return path


@pytest.fixture(scope="module")
def digest(weights) -> str:
    return hashlib.sha256(weights.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def of_whole(weights) -> Settings:
    return Settings(load_gripper("panda"), COUNT, 0.0, SEED, str(weights))


@pytest.fixture(scope="module")
def of_view(of_whole) -> Settings:
    return replace(of_whole, view=True)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, of_view) -> tuple[Path, LabellingResult]:
    """A bar and a needle, which hardly a pixel sees, labelled from one view; read-only."""
    folder = tmp_path_factory.mktemp("meshes")
    trimesh.creation.box((0.03, 0.04, 0.12)).export(folder / "bar.stl")
    trimesh.creation.box((1e-4, 1e-4, 0.006)).export(folder / "needle.stl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.with_name("cache")))
        return folder, label_folder(folder, of_view, workers=1)


def job_of(settings: Settings) -> Job:
    """A job for an object whose convex part is known."""
    vertices, faces = box((0, 0, 0), (0.03, 0.04, 0.12))
    obj = Object.from_mesh(vertices, faces, name="bar", parts=((vertices, faces),), file="bar.obj")
    return Job("bar", obj, 0.1, None, 0.8, settings)


def drawn_by_hand(obj: Object, seen: Object, weights: Path, seed: int) -> np.ndarray:
    """Samples of the field, with a seed that belongs to the whole object."""
    field = GraspField.from_pretrained(weights).condition(seen, load_gripper("panda"), seed)
    return field.draw(COUNT, seeded(seed, 101, int(obj.sha256[:8], 16))).double().numpy()


def view_by_hand(obj: Object, seed: int) -> Object:
    (seen,) = random_views(obj, 1, np.random.default_rng([seed, 103, int(obj.sha256, 16)]))
    return seen


# --- What the labels are --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [SEED, 6])
def test_samples_of_a_view_have_the_physics_of_the_whole_object(of_view, weights, seed):
    job = job_of(replace(of_view, seed=seed))
    found = label(job)
    seen = view_by_hand(job.obj, seed)
    np.testing.assert_array_equal(found.poses, drawn_by_hand(job.obj, seen, weights, seed))
    conditions = simulation.Conditions(mass=0.1, friction=0.8)
    trials = simulation.simulate(job.obj, load_gripper("panda"), found.poses, conditions)
    np.testing.assert_array_equal(found.success, trials.success)
    np.testing.assert_array_equal(found.failure, trials.failure)
    np.testing.assert_array_equal(found.width, trials.width)
    assert found.object_sha256 == job.obj.sha256 != seen.sha256
    assert found.sampler["kinds"] == ["sample"] * COUNT


def test_samples_of_the_whole_object_are_as_they_were(of_whole, of_view, weights):
    job = job_of(of_whole)
    found = label(job)
    np.testing.assert_array_equal(found.poses, drawn_by_hand(job.obj, job.obj, weights, SEED))
    assert not np.allclose(found.poses, label(job_of(of_view)).poses, atol=0.01)


def test_noise_moves_half_of_the_samples_by_its_level(of_whole):
    """Levels that are uniform in [0, s] give moves a mean square of s²/3 along each axis."""
    level = 0.3
    still = label(job_of(replace(of_whole, count=300)))
    found = label(job_of(replace(of_whole, count=300, noise=level)))
    noisy = np.array(found.sampler["kinds"]) == "noisy sample"
    assert found.sampler["noise"] == level and "noise" not in still.sampler
    assert 0.4 < noisy.mean() < 0.6
    np.testing.assert_array_equal(found.poses[~noisy], still.poses[~noisy])
    before, after = still.poses[noisy], found.poses[noisy]
    move = np.einsum("nji,nj->ni", before[:, :3, :3], (after - before)[:, :3, 3]) / 0.1
    turn = so3.log(torch.from_numpy(before[:, :3, :3].swapaxes(1, 2) @ after[:, :3, :3])).numpy()
    for part in (move, turn):
        # The three components of a move share a level σ, with E[σ²] = s²/3 and E[σ⁴] = s⁴/5.
        variance = (3 * (3 / 5 - 1 / 9) + 6 * (1 / 5 - 1 / 9)) / 9
        error = np.sqrt(variance / len(part)) * level**2
        assert abs(np.square(part).mean() - level**2 / 3) < 4 * error


def test_the_view_depends_on_seed_and_geometry_alone(of_view):
    """Names, files, mass and friction do not change the view; the seed does."""
    job = job_of(of_view)
    other = replace(
        job, name="other", mass=None, density=300.0, friction=0.4,
        obj=replace(job.obj, name="other", file="other.obj"),
    )  # fmt: skip
    poses = label(job).poses
    np.testing.assert_array_equal(label(other).poses, poses)
    assert not np.allclose(label(job_of(replace(of_view, seed=6))).poses, poses, atol=0.01)


def test_another_process_gives_the_same(labelled, of_view):
    """The file that a folder's run wrote equals the same object labelled in this process."""
    folder, done = labelled
    found = read_grasps(done.output / "bar_stl.h5")
    obj = replace(load_object(folder / "bar.stl"), file="bar.stl", parts=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.with_name("cache")))
        job = Job("bar_stl", obj, None, simulation.PROTOCOL.density, found.friction, of_view)
        again = label(job)
    assert difference(found, job) is None
    for name in ("poses", "success", "failure", "width"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


# --- How they are distinguished from others -------------------------------------------------------


def test_conditions_say_view_only_where_there_is_one(of_whole, of_view, digest):
    """Pinned to the byte: files store the conditions, and a change would invalidate old labels."""
    job = job_of(of_whole)
    rest = {
        "count": COUNT,
        "near_misses": 0.0,
        "seed": SEED,
        "stream": 101,
        **simulation.label_digests(job.obj, of_whole.gripper),
        "mass": 0.1,
        "density": None,
        "friction": 0.8,
    }
    for settings, source in [
        (
            of_whole,
            {
                "name": "samples of a field",
                "weights": digest,
                "sampling": Sampling().as_dict(),
            },
        ),
        (
            of_view,
            {
                "name": "samples of a field from one view",
                "view": True,
                "weights": digest,
                "sampling": CLOUD_SAMPLING.as_dict(),
            },
        ),
        (
            replace(of_whole, weights=None),
            {"name": "antipodal candidates", "cone_friction": FRICTION},
        ),
    ]:
        job = job_of(settings)
        assert job.source == source
        assert json.dumps(job.conditions()) == json.dumps({**source, **rest})


def test_samples_of_views_have_a_folder_and_a_card_of_their_own(labelled, weights, digest):
    folder, done = labelled
    assert done.output == folder / "samples" / f"{digest[:12]}-view" / "panda"
    assert [path.name for path in folder.glob("samples/*/panda/*.h5")] == ["bar_stl.h5"]
    assert (done.made, done.grasps) == (1, COUNT)
    assert (done.card["view"], done.card["weights"]) == (True, digest)
    assert f"--weights {weights} --view --seed {SEED}" in done.card["command"]
    text = (done.output / "README.md").read_text()
    assert f"{digest}; the field saw one side of the object" in text


def test_an_object_that_is_not_in_view_is_skipped_with_a_reason(labelled):
    folder, done = labelled
    with pytest.raises(InputError, match="different points, expected at least 16") as reason:
        view_by_hand(load_object(folder / "needle.stl"), SEED)
    (sentence,) = done.skipped
    assert sentence == f"needle_stl: {reason.value}"
    assert done.card["skipped"] == [sentence]
    assert f"- {sentence}" in (done.output / "README.md").read_text()


def test_neither_kind_of_samples_passes_for_the_other(of_whole, of_view):
    whole, view = job_of(of_whole), job_of(of_view)
    for given, expected in [(whole, view), (view, whole)]:
        assert difference(label(given), given) is None
        said = difference(label(given), expected)
        assert said == f"name must be {expected.source['name']}, got {given.source['name']}"


# --- The program ----------------------------------------------------------------------------------


def program(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def test_the_command_of_a_card_asks_for_the_same(labelled, capsys, tmp_path):
    """The command accepts the existing labels as the ones that it would make."""
    folder = shutil.copytree(labelled[0], tmp_path / "copy")
    (folder / "needle.stl").unlink()
    words = labelled[1].card["command"].split()
    assert words[:4] == ["python", "-m", "datasets.labels", "FOLDER"]
    assert program(folder, *words[4:], "--json") == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert (results["made"], results["kept"]) == (0, 1)
    assert results["output"] == str(folder / labelled[1].output.relative_to(labelled[0]))


def test_a_view_without_a_field_is_bad_input(tmp_path, capsys):
    trimesh.creation.box((0.03, 0.04, 0.05)).export(tmp_path / "box.stl")
    assert program(tmp_path, "--view") == 2
    assert capsys.readouterr().err == (
        "error: --view needs --weights, because only a grasp field uses a view\n"
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "box.stl"]
    with pytest.raises(InputError, match="samples from one view: name the weights"):
        Settings(load_gripper("panda"), view=True)
    for noise, chosen in ((0.1, None), (-0.1, "panda"), (math.inf, "panda")):
        with pytest.raises(InputError, match="noise level of samples must be at least 0"):
            Settings(load_gripper("panda"), near_misses=0.0, noise=noise, weights=chosen)
