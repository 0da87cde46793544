"""What `load_object` says about an object: what was left out, and which units would fit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from grasp.objects.loading import load_object
from pcdiff.errors import InputError
from tests.geometry.contents import CORNERS, SIDES, TRIANGLES, npy, obj, ply, stl, xyz
from tests.objects.shapes import box


def written(path, content: bytes):
    path.write_bytes(content)
    return path


def test_remarks_of_reading_and_cleaning(tmp_path):
    flat = [[0, 0, 1], [3, 3, 3]]
    path = written(tmp_path / "a.obj", obj(faces=[*TRIANGLES.tolist(), *flat, [0, 1]]))
    loaded = load_object(path)
    assert loaded.remarks == (
        f"{path}: left out 1 of 15 faces: fewer than 3 corners",
        f"{path}: left out 2 of 14 faces: no area",
    )
    assert len(loaded.faces) == 12
    assert load_object(written(path, obj(faces=SIDES))).remarks == ()
    assert box().remarks == ()


def test_colours_are_not_normals(tmp_path):
    """A uniform red gives the same normals as no colour at all."""
    points, normals = box((0.04, 0.06, 0.08)).surface(300, np.random.default_rng(0))
    red = np.tile([1.0, 0, 0], (300, 1))
    plain = load_object(written(tmp_path / "a.xyz", xyz(points)))
    coloured = load_object(written(tmp_path / "b.xyz", xyz(np.hstack([points, red]))))
    assert np.array_equal(coloured.normals, plain.normals)
    assert plain.remarks == () and "like one colour" in coloured.remarks[0]
    given = load_object(written(tmp_path / "c.xyz", xyz(np.hstack([points, normals]))))
    assert np.allclose(given.normals, normals)


CUBE = CORNERS / 0.125

# Each case: the file, and the middle of the message.
SIZES = {
    "a cube of 20 in STL": (
        "a.stl",
        stl(20 * CUBE),
        "probably mm (0.02 m), cm (0.2 m) or inch (0.51 m); otherwise supply the scale, or crop",
    ),
    "a cube of 20 in OBJ": (
        "a.obj",
        obj(20 * CUBE),
        "probably cm (0.2 m), inch (0.51 m) or mm (0.02 m); otherwise supply the scale, or crop",
    ),
    "a cube of 200 in PLY": (
        "a.ply",
        ply(200 * CUBE),
        "probably mm (0.2 m); otherwise supply the scale, or crop the file if it holds more than",
    ),
    "a room in metres": ("a.xyz", xyz(8 * box().surface(99, np.random.default_rng(0))[0]), ""),
}


@pytest.mark.parametrize("case", SIZES)
def test_advice_on_the_size(case, tmp_path):
    name, content, words = SIZES[case]
    scale = 5.0 if not words else 1.0
    with pytest.raises(InputError) as caught:
        load_object(written(tmp_path / name, content), scale)
    assert words in str(caught.value) and "crop the file" in str(caught.value)
    assert caught.value.parameter == "unit_or_scale"


def test_a_small_object_is_not_cropped(tmp_path):
    with pytest.raises(InputError, match=r"probably m \(0.12 m\).*supply the scale$"):
        load_object(written(tmp_path / "a.obj", obj()), unit="mm")


@pytest.mark.parametrize("name", ["depth.jpg", "depth.jpeg"])
def test_a_jpeg_is_no_object_and_no_mask(name, tmp_path):
    picture = tmp_path / name
    Image.fromarray(np.full((24, 32), 255, np.uint8)).save(picture)
    with pytest.raises(InputError, match="is a JPEG picture, expected a mesh, a point cloud or a"):
        load_object(picture)
    depth = tmp_path / "a.npz"
    camera = np.array([[100.0, 0, 15.5], [0, 100, 11.5], [0, 0, 1]])
    np.savez(depth, depth=np.full((24, 32), 0.5), intrinsics=camera)
    with pytest.raises(InputError, match="JPEG"):
        load_object(depth, mask=picture)
    picture.rename(tmp_path / "mask.npy")
    with pytest.raises(InputError, match=r"mask\.npy is a JPEG picture, expected a \.npy file"):
        load_object(depth, mask=tmp_path / "mask.npy")


def test_pickled_arrays_are_named(tmp_path):
    content = npy(np.array([{"x": 1}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy holds pickled Python objects"):
        load_object(written(tmp_path / "a.npy", content))
    np.savez(tmp_path / "a.npz", depth=np.ones((24, 32)), intrinsics=np.array([None]))
    with pytest.raises(
        InputError, match=r"the array intrinsics in .* holds pickled Python objects"
    ):
        load_object(tmp_path / "a.npz")
