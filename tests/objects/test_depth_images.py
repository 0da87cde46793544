"""Depth images: points against the pinhole camera, from PNG and npz files."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from grasp.objects.depth import intrinsics_matrix
from grasp.objects.loading import load_object

CAMERA = {"fx": 60.0, "fy": 50.0, "cx": 8.0, "cy": 6.0}
STEPS = np.random.default_rng(3).integers(400, 600, (12, 16)).astype(np.uint16)
MASK = np.zeros((12, 16), np.uint8)
MASK[2:10, 3:12] = 255


def expected_points(mask: np.ndarray) -> np.ndarray:
    rows = []
    for row in range(12):
        for column in range(16):
            if mask[row, column]:
                z = STEPS[row, column] * 0.001
                rows.append([(column - 8) / 60 * z, (row - 6) / 50 * z, z])
    return np.array(rows)


def test_depth_image_is_back_projected(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(STEPS).save(path)
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    np.save(tmp_path / "mask.npy", MASK > 0)
    (tmp_path / "a.json").write_text(json.dumps(CAMERA | {"depth_unit": "mm"}))
    whole = load_object(path)
    assert np.allclose(whole.vertices, expected_points(np.ones((12, 16))), atol=1e-12)
    assert np.isclose(whole.scale, 0.001)
    # Normals face the camera.
    assert (np.einsum("ni,ni->n", whole.normals, whole.vertices) < 0).all()
    for mask in (tmp_path / "mask.png", str(tmp_path / "mask.npy"), MASK > 0):
        part = load_object(path, mask=mask)
        assert np.allclose(part.vertices, expected_points(MASK), atol=1e-12)


def test_depth_image_takes_camera_and_unit_from_the_call(tmp_path):
    path, camera = tmp_path / "a.png", tmp_path / "camera.json"
    Image.fromarray(STEPS).save(path)
    camera.write_text(json.dumps(CAMERA))
    points = expected_points(np.ones((12, 16)))
    matrix = intrinsics_matrix(**CAMERA)
    assert np.allclose(load_object(path, unit="mm", intrinsics=camera).vertices, points, atol=1e-12)
    assert np.allclose(load_object(path, unit="mm", intrinsics=matrix).vertices, points, atol=1e-12)
    twice = load_object(path, 0.2, "cm", intrinsics=matrix)
    assert np.allclose(twice.vertices, 2 * points, atol=1e-12)


def test_depth_image_as_npz(tmp_path):
    path = tmp_path / "a.npz"
    matrix = intrinsics_matrix(**CAMERA)
    np.savez_compressed(path, depth=STEPS * 0.001, intrinsics=matrix, mask=MASK)
    assert np.allclose(load_object(path).vertices, expected_points(MASK), atol=1e-12)
    np.savez(path, depth=STEPS, intrinsics=matrix)
    whole = expected_points(np.ones((12, 16)))
    assert np.allclose(load_object(path, unit="mm").vertices, whole, atol=1e-12)
    part = load_object(path, unit="mm", mask=MASK > 0)
    assert np.allclose(part.vertices, expected_points(MASK), atol=1e-12)
    camera = tmp_path / "camera.json"
    camera.write_text(json.dumps({**CAMERA, "depth_unit": "mm"}))
    assert np.allclose(load_object(path, intrinsics=camera).vertices, whole, atol=1e-12)
