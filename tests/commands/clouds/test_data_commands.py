"""`pcdiff convert`, `pcdiff encode` and `pcdiff evaluate --generated`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pcdiff.clouds.canonical import categories, read_clouds, write_clouds
from pcdiff.clouds.files import load_cloud, save_cloud
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.scale import normalize_to_box
from tests import tiny


@pytest.fixture
def folder(tmp_path):
    for index, cloud in enumerate(tiny.clouds(5, 30)):
        save_cloud(tmp_path / "mugs" / f"{index}.ply", cloud)
    return tmp_path / "mugs"


def test_convert_makes_the_file_that_training_reads(pcdiff, folder, tmp_path):
    output = tmp_path / "c.hdf5"
    save_cloud(folder / "short.npy", tiny.clouds(1, 20)[0])
    arguments = (folder, "--output", output, "--points", 30, "--category", "mug", "--seed", 3)
    code, out, err = pcdiff("convert", *arguments, "--json")
    assert (code, err) == (0, "")
    results = json.loads(out)["results"]
    assert (
        categories(output) == results["shapes"] == {"03797390": {"train": 4, "val": 1, "test": 1}}
    )
    assert (results["repeated"], results["subsampled"], results["layout"]) == (1, 0, "files")
    assert read_clouds(output, "mug", "train").shape == (4, 30, 3)
    first = output.read_bytes()
    assert pcdiff("convert", *arguments, "--workers", 2)[0] == 0
    assert output.read_bytes() == first
    code, out, _ = pcdiff("convert", *arguments, "--split", "0.5,0.25,0.25")
    assert code == 0 and "03797390 (mug): train 2, val 2, test 2" in out
    assert "1 clouds had fewer points: points were repeated" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--split", "0.5,0.5"), "--split must be three shares TRAIN,VAL,TEST"),
        (("--split", "0.5,0.5,0.5"), "with the sum 1, got 0.5, 0.5, 0.5 (--split)"),
        (("--split", "dev"), "got 'dev' (--split)"),
        (("--category", "mug,cup"), "must have one category, got mug, cup (--category)"),
        (("--points", 1), "--points"),
        (("--output", "{folder}"), "is not a regular file"),
    ],
)
def test_convert_says_in_one_sentence_what_is_wrong(options, sentence, pcdiff, folder, tmp_path):
    given = [str(each).format(folder=folder) for each in options]
    code, out, err = pcdiff("convert", folder, "--output", tmp_path / "c.hdf5", *given)
    assert (code, out) == (2, "") and sentence in err and len(err.splitlines()) == 1


def test_encode_writes_the_codes_of_the_model(pcdiff, folder, files, tmp_path):
    output = tmp_path / "c.npz"
    arguments = (folder, "--weights", files["weights"], "--output", output, "--json")
    code, out, err = pcdiff("encode", *arguments)
    assert (code, err) == (0, "")
    results = json.loads(out)["results"]
    assert (results["shape"], results["files"]) == ([5, 4], [str(output)])
    model = PointCloudGenerator.from_pretrained(files["weights"])
    with np.load(output, allow_pickle=False) as file:
        for name, latent in zip(file["names"], file["latents"], strict=True):
            cloud = normalize_to_box(load_cloud(str(name))[None])[0]
            np.testing.assert_allclose(latent, model.encode(cloud)[0].detach(), atol=1e-6)
    holes = np.vstack([tiny.clouds(1, 30)[0].numpy(), np.full((1, 3), np.nan)])
    np.save(tmp_path / "holes.npy", holes)
    arguments = (tmp_path / "holes.npy", *arguments[1:])
    code, out, err = pcdiff("encode", *arguments)
    remark = f"{tmp_path / 'holes.npy'}: left out 1 of 31 points: not finite"
    assert code == 0 and remark in err.splitlines()
    assert json.loads(out)["results"]["remarks"] == [remark]
    code, _, err = pcdiff("encode", files["clouds"], "--weights", files["weights"])
    assert code == 2 and "state one (--category)" in err
    code, _, err = pcdiff("encode", folder, "--output", "codes.csv")
    assert code == 2 and "expected the extension .npz or .npy" in err


def test_evaluate_judges_generated_clouds(pcdiff, folder, tmp_path):
    real = tmp_path / "real.hdf5"
    write_clouds(real, {"chair": {"train": tiny.clouds(6, 30), "test": tiny.clouds(4, 30, seed=2)}})
    options = ("--points", 20, "--no-emd", "--floor-draws", 1)
    code, out, err = pcdiff("evaluate", real, "--generated", folder, *options, "--json")
    assert (code, err) == (0, "")
    results = json.loads(out)["results"]
    assert (results["generated_clouds"], results["remarks"]) == (str(folder), [])
    assert results["generated"].keys() >= {"1-nna-cd", "cov-cd", "mmd-cd", "jsd"}
    assert results["stamp"]["reference_shapes"] == 4 and results["stamp"]["sets"] == 1
    for option, value in (("--weights", "chair"), ("--steps", 3), ("--temperature", 0.5)):
        code, _, err = pcdiff("evaluate", real, "--generated", folder, option, value)
        assert code == 2 and f"{option} concerns a model, so it cannot be combined" in err
    code, _, err = pcdiff("evaluate", real, "--generated", folder, "--points", 40, "--no-emd")
    assert code == 2 and "0.ply must have at least 40 points, got 30 (--points)" in err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("convert", ("--points", "--category", "--seed", "--split", "--threads", "--json")),
        ("encode", ("--weights", "--output", "--device", "--threads", "--seed", "--json")),
        ("evaluate", ("--generated", "--seed", "--device", "--threads", "--json")),
        ("train", ("--width", "--config", "--tensorboard", "--resume", "--steps")),
    ],
)
def test_help_names_the_options(command, options, pcdiff):
    code, out, err = pcdiff(command, "--help")
    assert (code, err) == (0, "") and all(option in out for option in options)
