"""Camera files, depth images and masks in the forms in which people have them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from grasp.objects.cameras import read_camera, read_camera_pose
from grasp.objects.loading import load_object
from grasp.objects.pieces import Which
from pcdiff.errors import InputError

K = [[60.0, 0, 8.0], [0, 59.0, 6.0], [0, 0, 1]]
FLAT = [x for row in K for x in row]
COLUMNS = [x for column in zip(*K, strict=True) for x in column]
SIZE = {"width": 16, "height": 12}
DEPTH = (500 + 4 * np.arange(16) + 3 * np.arange(12)[:, None]).astype(np.uint16)
MASK = np.zeros((12, 16), np.uint8)
MASK[2:10, 3:12] = 1

CAMERAS = {
    "ours": {"fx": 60, "fy": 59, "cx": 8, "cy": 6, "depth_unit": "mm"},
    "realsense": {**SIZE, "fx": 60, "fy": 59, "ppx": 8, "ppy": 6, "depth_scale": 0.001},
    "realsense nested": {
        "intrinsics": {**SIZE, "fx": 60, "fy": 59, "ppx": 8, "ppy": 6},
        "depth_scale": 0.001,
    },
    "ros 1": {**SIZE, "K": FLAT, "D": [0, 0, 0, 0, 0], "depth_unit": "mm"},
    "ros 2": {**SIZE, "k": FLAT, "depth_unit": "mm"},
    "rows": {"K": K, "depth_unit": "mm"},
    "ros calibration": {
        "image_width": 16,
        "image_height": 12,
        "camera_matrix": {"rows": 3, "cols": 3, "data": FLAT},
        "depth_unit": "mm",
    },
    "open3d": {**SIZE, "intrinsic_matrix": COLUMNS, "depth_scale": 1000.0},
    "open3d nested": {"intrinsic": {**SIZE, "intrinsic_matrix": COLUMNS}, "depth_scale": 1000},
    "bop": {"cam_K": FLAT, "depth_scale": 1.0},
}


def expected(mask=MASK) -> np.ndarray:
    v, u = np.nonzero(mask)
    z = DEPTH[v, u] * 0.001
    return np.stack([(u - 8) / 60 * z, (v - 6) / 59 * z, z], axis=1)


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("kind", CAMERAS)
def test_camera_file_is_read(kind, ending, tmp_path):
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    text = json.dumps(CAMERAS[kind]) if ending == "json" else yaml.safe_dump(CAMERAS[kind])
    (tmp_path / f"a.{ending}").write_text(text)
    loaded = load_object(tmp_path / "a.png", mask=MASK)
    np.testing.assert_allclose(loaded.vertices, expected(), atol=1e-12)


def test_camera_as_a_table_of_numbers(tmp_path):
    np.save(tmp_path / "k.npy", np.array(K))
    (tmp_path / "k.txt").write_text("60, 0, 8\n0, 59, 6\n0 0 1\n")
    for name in ("k.npy", "k.txt"):
        assert np.array_equal(read_camera(tmp_path / name).intrinsics, K)


@pytest.mark.parametrize("matrix", [K, FLAT])
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_camera_as_a_matrix_alone(matrix, ending, tmp_path):
    (tmp_path / f"k.{ending}").write_text(json.dumps(matrix))
    assert np.array_equal(read_camera(tmp_path / f"k.{ending}").intrinsics, K)


@pytest.mark.parametrize("matrix", [np.eye(4).tolist(), np.eye(4).reshape(-1).tolist()])
def test_camera_pose_as_a_matrix_alone(matrix, tmp_path):
    (tmp_path / "pose.json").write_text(json.dumps(matrix))
    assert np.array_equal(read_camera_pose(tmp_path / "pose.json"), np.eye(4))


def test_a_message_of_ros_ends_with_a_line(tmp_path):
    text = yaml.safe_dump(CAMERAS["ros 1"])
    (tmp_path / "k.yaml").write_text(f"{text}---\n")
    assert np.array_equal(read_camera(tmp_path / "k.yaml").intrinsics, K)
    (tmp_path / "k.yaml").write_text(f"{text}---\n{text}---\n")
    with pytest.raises(InputError, match=r"k\.yaml .*one YAML document, got several"):
        read_camera(tmp_path / "k.yaml")


@pytest.mark.parametrize("kind", ["png", "tif", "float tif", "npy", "float npy", "npz"])
def test_depth_image_is_read(kind, tmp_path):
    ending = kind.split()[-1]
    path = tmp_path / f"a.{ending}"
    pixels = (DEPTH * 0.001).astype(np.float32) if "float" in kind else DEPTH
    camera = {"K": FLAT} if "float" in kind else {"K": FLAT, "depth_unit": "mm"}
    if ending == "npz":
        np.savez(path, depth=DEPTH * 0.001, K=np.array(FLAT), segmap=MASK)
    elif ending == "npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    (tmp_path / "a.json").write_text(json.dumps(camera))
    loaded = load_object(path, mask=None if ending == "npz" else MASK)
    np.testing.assert_allclose(loaded.vertices, expected(), atol=1e-7)


def picture(mode: str) -> Image.Image:
    lit = Image.fromarray(MASK * 255)
    if mode == "P":
        made = Image.fromarray(MASK).convert("P")
        made.putpalette([0, 0, 0, 200, 30, 30] + [0] * 762)
        return made
    if mode == "RGB red":
        return Image.merge("RGB", [lit, Image.fromarray(MASK * 0), Image.fromarray(MASK * 0)])
    if mode == "RGBA cut out":
        noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
        return Image.fromarray(np.dstack([noise, MASK * 255]))
    return lit.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "RGB red", "RGBA cut out"])
def test_mask_picture_is_read(mode, tmp_path):
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(CAMERAS["ours"]))
    picture(mode).save(tmp_path / "mask.png")
    loaded = load_object(tmp_path / "a.png", mask=tmp_path / "mask.png")
    np.testing.assert_allclose(loaded.vertices, expected(), atol=1e-12)


@pytest.mark.parametrize("ending", ["npy", "png"])
def test_mask_of_several_objects_needs_a_value(ending, tmp_path):
    ids = MASK * 3
    ids[2:10, 9:12] = 7
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(CAMERAS["ours"]))
    path = tmp_path / f"mask.{ending}"
    np.save(path, ids) if ending == "npy" else Image.fromarray(ids).save(path)
    with pytest.raises(InputError, match=r"3 \(48 pixels\), 7 \(24 pixels\)") as caught:
        load_object(tmp_path / "a.png", mask=path)
    assert caught.value.parameter == "mask_id"
    loaded = load_object(tmp_path / "a.png", mask=path, which=Which(mask_id=7))
    np.testing.assert_allclose(loaded.vertices, expected(ids == 7), atol=1e-12)
    with pytest.raises(InputError, match="no pixel with the value 5, only 3"):
        load_object(tmp_path / "a.png", mask=path, which=Which(mask_id=5))


def test_coloured_mask_of_several_objects_needs_a_value(tmp_path):
    colours = np.zeros((12, 16, 3), np.uint8)
    colours[MASK > 0] = [0, 0, 200]
    colours[2:10, 9:12] = [0, 150, 0]
    Image.fromarray(colours).save(tmp_path / "mask.png")
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(CAMERAS["ours"]))
    green = 150 * 256
    with pytest.raises(InputError, match=rf"200 \(48 pixels\), {green} \(24 pixels\)"):
        load_object(tmp_path / "a.png", mask=tmp_path / "mask.png")


REFUSED = {
    "other width": ({"K": FLAT, "width": 32}, {}, "width of the picture, 16 pixels, got 32 pix"),
    "other height": ({"K": FLAT, "height": 24}, {}, "height of the picture, 12 pixels, got 24"),
    "centre outside": ({"fx": 60, "fy": 60, "cx": 20, "cy": 6}, {}, r"inside the picture.*\(20, 6"),
    "big number": (
        '{"fx": 1' + "0" * 400 + ', "fy": 1, "cx": 1, "cy": 1}',
        {},
        "fx must be finite",
    ),
    "huge number": ('{"fx": 1' + "0" * 5000 + "}", {}, "must contain a JSON object"),
    "list": ({"fx": [60], "fy": 60, "cx": 8, "cy": 6}, {}, "fx must be a number, got a list"),
    "empty unit": ({"K": FLAT, "depth_unit": []}, {}, r"depth_unit .* got \[\]"),
    "eight numbers": ({"K": FLAT[:8]}, {}, r"shape \(8,\)"),
    "no camera": ({"D": [0, 0]}, {}, "it has the entries"),
    "odd scale": ({"K": FLAT, "depth_scale": 1}, {}, "metres per unit, at most 0.1, or the units"),
    "list of pairs": ("[[1, 2]]", {}, "the top level must be a mapping"),
    "jpeg mask": ({"K": FLAT}, {"mask": "mask.jpg"}, "mask.jpg is a JPEG picture"),
    "mask of another size": ({"K": FLAT}, {"mask": "small.png"}, r"shape \(12, 16\)"),
    "no mask": ({"K": FLAT}, {"which": Which(mask_id=2)}, "has no mask, but a value"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_camera_or_mask_is_refused_in_one_sentence(case, tmp_path):
    camera, arguments, words = REFUSED[case]
    if isinstance(camera, dict):
        camera = json.dumps({"depth_unit": "mm", **camera} if case != "odd scale" else camera)
    (tmp_path / "a.json").write_text(camera)
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    Image.fromarray(MASK).save(tmp_path / "mask.jpg")
    Image.fromarray(MASK[1:]).save(tmp_path / "small.png")
    if "mask" in arguments:
        arguments = {"mask": tmp_path / arguments["mask"]}
    with pytest.raises(InputError, match=words) as caught:
        load_object(tmp_path / "a.png", **arguments)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence.replace(str(tmp_path), "")) < 300


def test_depth_of_eight_bits_is_refused(tmp_path):
    Image.fromarray((DEPTH // 4).astype(np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps(CAMERAS["ours"]))
    with pytest.raises(InputError, match="at least 16 bits per pixel, got 8 bits"):
        load_object(tmp_path / "a.png")


def test_different_focal_lengths_are_remarked(tmp_path):
    Image.fromarray(DEPTH).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text(json.dumps({**CAMERAS["ours"], "fy": 50}))
    loaded = load_object(tmp_path / "a.png", mask=MASK)
    assert loaded.remarks == (
        f"{tmp_path / 'a.png'}: the focal lengths differ by more than 5%: 60 and 50",
    )
