"""Sets of clouds from files and folders, their latent codes, and their evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pcdiff.clouds.canonical import write_clouds
from pcdiff.clouds.codes import Codes, encode_clouds, write_codes
from pcdiff.clouds.collections import NamedClouds, load_clouds
from pcdiff.clouds.evaluation import EvaluationConfig, evaluate
from pcdiff.clouds.files import save_cloud
from pcdiff.clouds.judging import evaluate_generated
from pcdiff.clouds.scale import normalize_to_box
from pcdiff.errors import InputError
from tests import tiny

CONFIG = EvaluationConfig(
    sets=10, seed=3, points=20, emd_points=8, distances=("cd",), floor_draws=1, workers=1
)


@pytest.fixture
def canonical(tmp_path):
    path = tmp_path / "real.hdf5"
    write_clouds(path, {"chair": {"train": tiny.clouds(6), "test": tiny.clouds(4, seed=2)}})
    return path


def test_clouds_of_files_folders_and_arrays(tmp_path, canonical):
    made = tiny.clouds(5, seed=7)
    folder = tmp_path / "clouds"
    save_cloud(folder / "b.ply", made[0])
    save_cloud(folder / "a.xyz", made[1])
    (folder / "notes.txt").write_text("not a cloud")
    holes = torch.cat([made[0], made[0] * torch.nan])
    np.save(folder / "c.npy", holes.numpy())
    np.save(tmp_path / "many.npy", made[2:].numpy())
    found = load_clouds([folder, tmp_path / "many.npy", canonical], "chair", "test")
    expected = [made[1], made[0], made[0], *made[2:], *tiny.clouds(4, seed=2)]
    left_out = f"left out {len(made[0])} of {len(holes)} points: not finite"
    assert found.remarks == (f"{folder / 'c.npy'}: {left_out}",)
    assert len(found) == 10 and all(map(torch.equal, found.clouds, expected))
    assert found.names[:4] == (
        str(folder / "a.xyz"), str(folder / "b.ply"), str(folder / "c.npy"),
        f"{tmp_path / 'many.npy'}[0]",
    )  # fmt: skip


def test_the_only_category_need_not_be_stated(canonical):
    found = load_clouds([canonical])
    for cloud, expected in zip(found.clouds, tiny.clouds(4, seed=2), strict=True):
        assert torch.equal(cloud, expected)


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros((2, 5, 2)), r"shape \(shapes, points, 3\), got float64 of shape \(2, 5, 2\)"),
        (np.full((2, 5, 3), np.nan), "not finite in cloud 0"),
        (np.full((2, 5, 3), "a"), "must have numbers"),
    ],
)
def test_wrong_arrays_are_refused(array, sentence, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=sentence):
        load_clouds([tmp_path / "a.npy"])


def test_wrong_collections_are_refused(tmp_path, canonical):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no cloud files"):
        load_clouds([tmp_path / "empty"])
    several = tmp_path / "several.hdf5"
    write_clouds(several, {each: {"test": tiny.clouds(2)} for each in ("chair", "mug")})
    with pytest.raises(InputError, match=r"\(chair\), .*mug\) has several categories: state one"):
        load_clouds([several])
    with pytest.raises(InputError, match="expected at least one cloud"):
        load_clouds([])
    few = NamedClouds(("a.ply",), (torch.zeros(5, 3),))
    with pytest.raises(InputError, match=r"a\.ply must have at least 6 points, got 5"):
        few.with_points(6, 0)


# --- Codes ----------------------------------------------------------------------------------------


def test_codes_are_the_encoders_means_of_whole_normalised_clouds(tmp_path):
    model = tiny.generator().eval()
    clouds = (3 * tiny.clouds(1, 30)[0] + 1, tiny.clouds(1, 17, seed=1)[0])
    codes = encode_clouds(model, NamedClouds(("a", "b"), clouds))
    for cloud, latent in zip(clouds, codes.latents, strict=True):
        with torch.inference_mode():
            mean = model.posterior(
                model.config.standardization.apply(normalize_to_box(cloud[None])[0])
            )[0][0]
        np.testing.assert_array_equal(latent, mean.numpy())
    assert codes.latents.dtype == np.float32 and codes.names == ("a", "b")


def test_codes_in_both_forms_of_files(tmp_path):
    codes = Codes(("clouds/a.ply", "ü"), np.arange(8, dtype=np.float32).reshape(2, 4))
    assert write_codes(tmp_path / "c.npz", codes) == [tmp_path / "c.npz"]
    with np.load(tmp_path / "c.npz", allow_pickle=False) as file:
        assert file["names"].tolist() == list(codes.names)
        np.testing.assert_array_equal(file["latents"], codes.latents)
    assert write_codes(tmp_path / "d.npy", codes)[1] == tmp_path / "d.names.txt"
    np.testing.assert_array_equal(np.load(tmp_path / "d.npy"), codes.latents)
    assert (tmp_path / "d.names.txt").read_text("utf-8").splitlines() == list(codes.names)
    with pytest.raises(InputError, match=r"expected the extension .npz or .npy"):
        write_codes(tmp_path / "c.csv", codes)


def test_what_cannot_be_encoded_is_named():
    model = tiny.generator()
    point = NamedClouds(("flat.ply",), (torch.zeros(5, 3),))
    with pytest.raises(InputError, match=r"flat\.ply: cloud 0 cannot be normalised"):
        encode_clouds(model, point)
    model.encoder = None
    with pytest.raises(InputError, match="the model has no encoder"):
        encode_clouds(model, point)


# --- Evaluation -----------------------------------------------------------------------------------


def test_generated_clouds_are_judged_as_those_of_a_model(tmp_path, canonical):
    """As many clouds as test shapes: the report of `evaluate` on the same clouds."""
    made = tiny.clouds(4, 20, seed=9)
    np.save(tmp_path / "made.npy", made.numpy())
    report = evaluate_generated(tmp_path / "made.npy", canonical, "chair", "test", CONFIG)
    chosen = load_clouds([tmp_path / "made.npy"]).with_points(20, 3)
    config = EvaluationConfig(**{**vars(CONFIG), "sets": 1})
    train, test = tiny.clouds(6), tiny.clouds(4, seed=2)
    expected = evaluate(lambda seed: chosen, train, test, config, "chair")
    assert report.as_dict() == expected.as_dict()
    assert sorted(map(tuple, chosen[0].tolist())) == sorted(map(tuple, made[0].tolist()))


def test_more_and_fewer_clouds_than_test_shapes(tmp_path, canonical):
    np.save(tmp_path / "more.npy", tiny.clouds(9, seed=9).numpy())
    report = evaluate_generated(tmp_path / "more.npy", canonical, "chair", "test", CONFIG)
    assert (report.stamp.seeds, report.stamp.reference_shapes) == ((3, 4), 4)
    np.save(tmp_path / "fewer.npy", tiny.clouds(3, seed=9).numpy())
    report = evaluate_generated(tmp_path / "fewer.npy", canonical, "chair", "test", CONFIG)
    assert (report.stamp.seeds, report.stamp.reference_shapes) == ((3,), 3)
    np.save(tmp_path / "one.npy", tiny.clouds(1).numpy())
    with pytest.raises(InputError, match="needs at least 2 generated clouds, got 1"):
        evaluate_generated(tmp_path / "one.npy", canonical, "chair", "test", CONFIG)


def test_copies_of_the_test_shapes_cover_them(tmp_path, canonical):
    """Copies match exactly: MMD is 0 up to the random points, and the coverage is complete."""
    folder = tmp_path / "copies"
    for index, cloud in enumerate(tiny.clouds(4, seed=2)):
        save_cloud(folder / f"{index}.ply", 5 * cloud - 2)
    config = EvaluationConfig(**{**vars(CONFIG), "points": 40})
    report = evaluate_generated(folder, canonical, "chair", "test", config).as_dict()
    assert report["generated"]["cov-cd"]["mean"] == 1
    assert report["generated"]["mmd-cd"]["mean"] == pytest.approx(0, abs=1e-6)
