"""Files that hold no usable object: each is refused in one clear sentence."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from grasp.objects.loading import load_object
from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_BYTES
from tests.geometry.contents import (
    CLOUD,
    CORNERS,
    GARBAGE,
    TRIANGLES,
    ascii_stl,
    cut,
    dae,
    glb,
    glb_of,
    npy,
    npy_claiming,
    obj,
    off,
    pcd,
    ply,
    stl,
    xyz,
)

LINE = CORNERS[:, :1] * [1, 2, 3]
MATRIX = np.array([[100.0, 0, 15.5], [0, 100.0, 11.5], [0, 0, 1]])


DEPTH = np.full((24, 32), 0.5)
MASK = np.zeros((24, 32), bool)
MASK[6:18, 8:24] = True
MILLIMETRES = (DEPTH * 1000).astype(np.uint16)


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    arrays = {"depth": DEPTH, "intrinsics": MATRIX, "mask": MASK} | arrays
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return file.getvalue()


def zipped(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def png(array=MILLIMETRES) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def camera(**changes) -> bytes:
    values = {"fx": 100, "fy": 100, "cx": 15.5, "cy": 11.5, "depth_unit": "mm"} | changes
    return json.dumps({key: value for key, value in values.items() if value is not None}).encode()


# Each case: the files (the first is loaded), the arguments, and words of the message.
BROKEN = {
    # Any file.
    "no file": ({}, {}, "does not exist"),
    "unknown ending": ({"a.doc": b"1"}, {}, "must end in"),
    "no ending": ({"a": b"1"}, {}, "must end in"),
    "unknown unit": ({"a.obj": obj()}, {"unit": "furlong"}, "unit must be one of"),
    "scale of zero": ({"a.obj": obj()}, {"scale": 0.0}, "scale must be"),
    "scale of NaN": ({"a.obj": obj()}, {"scale": float("nan")}, "scale must be"),
    "negative scale": ({"a.obj": obj()}, {"scale": -1.0}, "scale must be"),
    "mask of a mesh": ({"a.obj": obj()}, {"mask": MASK}, "not a depth image, so it takes no mask"),
    "camera of a cloud": (
        {"a.npy": npy()},
        {"intrinsics": MATRIX},
        "not a depth image, so it takes no mask",
    ),
    "viewpoint of NaN": ({"a.npy": npy()}, {"viewpoint": np.full(3, np.nan)}, "viewpoint"),
    **{
        f"empty {ending}": ({f"a.{ending}": b""}, {}, "is empty")
        for ending in ("obj", "stl", "ply", "off", "glb", "dae", "pcd", "xyz", "npy", "npz", "png")
    },
    **{
        f"garbage {ending}": ({f"a.{ending}": GARBAGE, "a.json": camera()}, {}, "a.")
        for ending in ("obj", "stl", "ply", "off", "glb", "dae", "pcd", "xyz", "npy", "npz", "png")
    },
    # Sizes.
    "90 m mug": ({"a.obj": obj(CORNERS * 720)}, {}, r"90 m long.* probably mm \(0.09 m\) or cm"),
    "10 m mug": ({"a.obj": obj(CORNERS * 80)}, {}, r"probably cm \(0.1 m\)"),
    "mug in mm is in m": ({"a.obj": obj()}, {"unit": "mm"}, r"probably m \(0.12 m\)"),
    "cloud in mm": ({"a.xyz": xyz(CLOUD * 1000)}, {}, "probably mm"),
    "no unit explains it": ({"a.stl": stl(CORNERS * 1e7)}, {}, "supply the unit or the scale"),
    "far away": ({"a.obj": obj(CORNERS + 1e12)}, {}, r"vertex with a coordinate of 1e\+12 m"),
    "beyond floating point": (
        {"a.obj": obj(CORNERS * 1e308)},
        {"scale": 1e300},
        "vertex with a coordinate of inf m",
    ),
    # OBJ.
    "obj without faces": ({"a.obj": obj(faces=[])}, {}, "without faces"),
    "obj without anything": ({"a.obj": b"\n\n# cube\n"}, {}, "without faces"),
    "obj with a missing corner": ({"a.obj": obj(start=2)}, {}, "does not exist"),
    "obj counted back too far": ({"a.obj": obj(start=-12)}, {}, "does not exist"),
    "obj of NaN": ({"a.obj": obj(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "obj with infinity": ({"a.obj": obj().replace(b"0.125", b"1e400")}, {}, "not finite"),
    "obj without extent": ({"a.obj": obj(CORNERS * 0)}, {}, "without area"),
    "obj on a line": ({"a.obj": obj(LINE)}, {}, "without area"),
    # STL.
    "stl of no triangles": ({"a.stl": stl(faces=[])}, {}, "without faces"),
    "stl without area": ({"a.stl": stl(CORNERS * 0)}, {}, "without area"),
    # PLY.
    "ply with a missing corner": ({"a.ply": ply(faces=TRIANGLES + 1)}, {}, "does not exist"),
    "ply of few points": ({"a.ply": ply(faces=[])}, {}, "8 different points"),
    # OFF.
    "off with a missing corner": ({"a.off": off(faces=TRIANGLES - 1)}, {}, "does not exist"),
    # GLB and DAE.
    "glb of nothing": ({"a.glb": glb_of(b"{}")}, {}, "damaged|without faces"),
    "stl of NaN": ({"a.stl": stl(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "text stl of NaN": ({"a.stl": ascii_stl(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "ply of NaN": ({"a.ply": ply(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "off of NaN": ({"a.off": off(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "glb of NaN": ({"a.glb": glb(CORNERS * np.nan)}, {}, "not finite in all 12 faces"),
    "dae with a missing corner": (
        {"a.dae": dae(faces=TRIANGLES + 100)},
        {},
        "so that no mesh remains: .*maxindex=107",
    ),
    # PCD.
    "pcd of NaN": ({"a.pcd": pcd(CLOUD * np.nan)}, {}, "not finite in all 100 points"),
    "pcd of nothing": ({"a.pcd": pcd(CLOUD[:0])}, {}, "0 different points"),
    # XYZ and NPY.
    "xyz of two columns": (
        {"a.xyz": xyz(CLOUD[:, :2])},
        {},
        "in line 1.* at least 3 numbers, got 2",
    ),
    "xyz with NaN": ({"a.xyz": xyz(CLOUD * [1, np.nan, 1])}, {}, "not finite in all 100 points"),
    "npy of five points": ({"a.npy": npy(CLOUD[:5])}, {}, "5 different points"),
    "npy of one point": ({"a.npy": npy(CLOUD * 0)}, {}, "1 different points"),
    "npy on a line": ({"a.npy": npy(CLOUD[:, :1] * [1, 2, 3])}, {}, "on one line"),
    "npy of no points": ({"a.npy": npy(CLOUD[:0])}, {}, "damaged|0 different points"),
    "npy with NaN": ({"a.npy": npy(CLOUD * np.nan)}, {}, "not finite in all 100 points"),
    # Depth images.
    "npz without depth": ({"a.npz": npz(depth=None)}, {}, "no array named depth"),
    "npz without intrinsics": ({"a.npz": npz(intrinsics=None)}, {}, "no array named intrinsics"),
    "npz with a vector for intrinsics": ({"a.npz": npz(intrinsics=MATRIX[0])}, {}, r"\(3, 3\)"),
    "npz with a mirrored camera": (
        {"a.npz": npz(intrinsics=-MATRIX)},
        {},
        "with fx and fy above 0",
    ),
    "npz with a camera of NaN": ({"a.npz": npz(intrinsics=MATRIX * np.nan)}, {}, "finite"),
    "npz of a colour picture": ({"a.npz": npz(depth=np.ones((24, 32, 3)))}, {}, "height, width"),
    "npz with another mask": ({"a.npz": npz(mask=MASK[1:])}, {}, "the mask of"),
    "npz with a mask of floats": ({"a.npz": npz(mask=DEPTH)}, {}, "the mask of"),
    "npz of no depth": ({"a.npz": npz(depth=DEPTH * 0)}, {}, "no pixel with a depth above 0"),
    "npz with an empty mask": (
        {"a.npz": npz(mask=MASK & False)},
        {},
        "no pixel with a depth above 0 inside the mask",
    ),
    "npz of a negative depth": (
        {"a.npz": npz(depth=-DEPTH)},
        {},
        "the depths in .* must be at least 0, got -0.5",
    ),
    "npz in mm": ({"a.npz": npz(depth=DEPTH * 1000)}, {}, "probably mm"),
    "npz with a background": ({"a.npz": npz(depth=20 * DEPTH, mask=None)}, {}, "a mask of the obj"),
    "npz cut": (
        {"a.npz": cut(npz())},
        {},
        "a.npz is cut off or damaged",
    ),
    "npz of objects": (
        {"a.npz": npz(depth=np.array([[None]]))},
        {},
        "the array depth in .*a.npz holds pickled Python objects",
    ),
    "npz of 10¹² pixels": (
        {"a.npz": zipped(depth=npy_claiming("(1000000, 1000000)"), intrinsics=npy(MATRIX))},
        {},
        "bytes in the array depth",
    ),
    "png without a camera": ({"a.png": png()}, {}, "without a camera"),
    "png without a unit": (
        {"a.png": png(), "a.json": camera(depth_unit=None)},
        {},
        "unit of the depths .* is unknown",
    ),
    "png in a list of units": (
        {"a.png": png(), "a.json": camera(depth_unit=["mm"])},
        {},
        r"got \['mm'\]",
    ),
    "png with an endless focal length": (
        {"a.png": png(), "a.json": camera(fx=10**400)},
        {},
        "fx, fy, cx and cy",
    ),
    "npy that is a zip": ({"a.npy": npz()}, {}, "is a zip archive, expected a .npy file"),
    "png in fathoms": ({"a.png": png(), "a.json": camera(depth_unit="fathom")}, {}, "got 'fathom'"),
    "png with half a camera": (
        {"a.png": png(), "a.json": camera(cx=None)},
        {},
        "fx, fy, cx and cy",
    ),
    "png with a camera in words": ({"a.png": png(), "a.json": b"f = 100"}, {}, "JSON object"),
    "coloured png": (
        {"a.png": png(np.zeros((24, 32, 3), np.uint8)), "a.json": camera()},
        {},
        "one channel",
    ),
    "png cut": ({"a.png": cut(png()), "a.json": camera()}, {}, "damaged PNG"),
    # Parts.
    "no parts": ({"a.obj": obj(), "a.parts.obj": obj()}, {}, "no part"),
    "parts cut": ({"a.obj": obj(), "a.parts.obj": b"o a\n" + obj() + b"v 0.1"}, {}, "line 22"),
    "a flat part": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj(CORNERS * [1, 1, 0])},
        {},
        "volume",
    ),
    "parts in mm": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj(CORNERS * 1000)},
        {},
        "do not match the mesh .* by 125 m, expected .* the mesh's length of 0.125 m",
    ),
    "parts 5 m away": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj(CORNERS + 5)},
        {},
        "do not match the mesh .* by 5 m",
    ),
    "parts of half of it": (
        {"a.obj": obj(CORNERS * 1000), "a.parts.obj": b"o a\n" + obj(CORNERS * [500, 1000, 1000])},
        {"unit": "mm"},
        "do not match the mesh .* by 0.0625 m",
    ),
    "a part without faces": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj() + b"o b\n"},
        {},
        "vol",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_object_is_refused_in_one_sentence(case, tmp_path):
    files, arguments, words = BROKEN[case]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / next(iter(files), "a.obj")
    if path.suffix == ".dae" and path.stat().st_size:
        pytest.importorskip("collada")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words) as caught:
            load_object(path, **arguments)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence.replace(str(tmp_path), "")) < 250
    assert arguments or str(tmp_path) in sentence
    assert "--" not in sentence, "an error of the library names an option of a command"
    assert peak < 60e6, "a claim in a header reserved memory"


def test_folder_is_not_an_object(tmp_path):
    (tmp_path / "a.obj").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        load_object(tmp_path / "a.obj")


@pytest.mark.parametrize("ending", ["npz", "png"])
def test_gigantic_depth_image_is_not_read(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    (tmp_path / "a.json").write_bytes(camera())
    with path.open("wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)  # takes no space on the disk
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than the limit of 256 MiB"):
            load_object(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_pixels_that_saw_nothing_are_left_out(tmp_path):
    holes = DEPTH.copy()
    holes[8, 10:14] = [0, np.nan, np.inf, -np.inf]
    path = tmp_path / "a.npz"
    path.write_bytes(npz(depth=holes))
    assert len(load_object(path).vertices) == MASK.sum() - 4
