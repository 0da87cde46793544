"""Broken files: the reader of each format refuses them in one clear sentence."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest

from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_BYTES
from pcdiff.geometry.reading import READERS, read_geometry
from tests.geometry.contents import (
    CLOUD,
    GARBAGE,
    NAN,
    TRIANGLES,
    ascii_stl,
    compressed,
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

# Each case: the file's name, its content, and words of the message.
BROKEN = {
    "unknown ending": ("a.doc", b"1", "must end in"),
    "no ending": ("a", b"1", "must end in"),
    **{f"empty {ending}": (f"a{ending}", b"", "is empty") for ending in READERS},
    # An OBJ file of garbage is not refused: without lines of vertices, it is an empty mesh.
    **{f"garbage {end}": (f"a{end}", GARBAGE, "a.") for end in READERS if end != ".obj"},
    # OBJ.
    "obj counted from 0": (
        "a.obj",
        obj(start=0),
        "line 9, 'f 0 1 3': vertex numbers must start at 1, got 0",
    ),
    "obj cut in a face": ("a.obj", obj() + b"f 1 2", "line 21, 'f 1 2': .* middle of a face"),
    "obj cut in a vertex": ("a.obj", obj() + b"v 0.1 0", "line 21, 'v 0.1 0'"),
    "obj with words": ("a.obj", b"v a b c\n" + obj(), "line 1, 'v a b c'"),
    # STL.
    "stl cut": ("a.stl", cut(stl()), "promises 12 triangles"),
    "stl cut in its header": ("a.stl", cut(stl(), 0.05), "truncated"),
    "stl of 10⁷ triangles": ("a.stl", stl(count=10**7), "promises 10000000"),
    "text stl cut": ("a.stl", cut(ascii_stl()), "truncated"),
    "text stl with words": ("a.stl", ascii_stl().replace(b"0.125", b"?"), "damaged in line"),
    "stl is a letter": ("a.stl", b"Dear Sir or Madam, " * 9, "not an STL file"),
    # PLY.
    "ply with another beginning": ("a.ply", b"x" + ply(), "not start with ply"),
    "ply without end_header": ("a.ply", cut(ply(), 0.1), "no end_header"),
    "ply cut": ("a.ply", cut(ply()), "truncated"),
    "ply cut in the vertices": ("a.ply", cut(ply(), 0.5), "truncated"),
    "binary ply cut": ("a.ply", cut(ply(encoding="binary_little_endian")), "truncated"),
    "ply of 10⁷ faces": ("a.ply", ply(counts=(8, 10**7)), "10000000 rows"),
    "binary ply of 4·10⁶ faces": (
        "a.ply",
        ply(encoding="binary_little_endian", counts=(8, 4 * 10**6)),
        "truncated",
    ),
    "ply of 10¹² vertices": ("a.ply", ply(counts=(10**12, 12)), "1000000000000 rows"),
    "ply of −1 vertices": ("a.ply", ply(counts=(-1, 12)), "damaged PLY"),
    "ply of an unknown type": ("a.ply", ply(index="quaternion"), "damaged PLY"),
    "ply of an unknown encoding": ("a.ply", ply(encoding="morse"), "encoding 'morse'"),
    "ply without z": ("a.ply", ply().replace(b"double z", b"double w"), "x, y and z"),
    "ply with other lists": ("a.ply", ply().replace(b"vertex_ind", b"edge_ind"), "vertex_ind"),
    "ply with two coordinates x": (
        "a.ply",
        ply().replace(b"end_header", b"element a 1\nproperty int x\nproperty int x\nend_header"),
        "damaged PLY",
    ),
    "ply with a corner in words": (
        "a.ply",
        ply().replace(b"\n3 0 1 3\n", b"\n3 0 a 3\n"),
        "damaged PLY",
    ),
    "ply of strips without corners": (
        "a.ply",
        ply().replace(b"element face", b"element tristrips").replace(b"vertex_ind", b"edge_ind"),
        "tristrips without the list vertex_indices",
    ),
    # OFF.
    "off with another beginning": ("a.off", off(header="{} {} 0"), "not start with OFF"),
    "off cut": ("a.off", cut(off()), "truncated|damaged"),
    "off cut in the vertices": ("a.off", cut(off(), 0.2), "truncated|damaged"),
    "off without counts": ("a.off", b"OFF\n", "damaged in line 1"),
    "off of 10⁷ faces": ("a.off", b"OFF\n8 10000000 0\n", "10000000 faces"),
    # GLB and DAE.
    "glb cut": ("a.glb", cut(glb()), "truncated"),
    "glb cut in its header": ("a.glb", glb()[:16], "truncated"),
    "glb of version 1": ("a.glb", glb(version=1), "glTF 2.0"),
    "glb without JSON": ("a.glb", glb_of(b"{"), "damaged"),
    "glb of endless vertices": ("a.glb", glb_of(b'{"accessors": [{"count": 1e999}]}'), "damaged"),
    "glb of a list": ("a.glb", glb_of(b"[]"), "damaged"),
    "glb of 10⁹ vertices": ("a.glb", glb(count=10**9), "1000000000 items"),
    "glb of more vertices than it has": ("a.glb", glb(count=10**6), "damaged"),
    "glb with a missing corner": ("a.glb", glb(faces=TRIANGLES + 100), "does not exist|damaged"),
    "dae cut": ("a.dae", cut(dae()), "damaged"),
    "dae without a scene": ("a.dae", dae(scene=False), "damaged|without faces"),
    "dae with NaN": ("a.dae", dae(NAN), "not finite"),
    # PCD.
    "pcd cut": ("a.pcd", cut(pcd()), "promises 100 points"),
    "pcd cut in its header": ("a.pcd", pcd()[:60], "no line DATA"),
    "binary pcd cut": ("a.pcd", cut(pcd(data="binary")), "promises 100 points"),
    "compressed pcd cut": (
        "a.pcd",
        pcd(data="binary_compressed", body=compressed(cut=99)),
        "truncated",
    ),
    "compressed pcd of zeros": (
        "a.pcd",
        pcd(data="binary_compressed", body=struct.pack("<II", 9, 1200) + bytes(9)),
        "damaged PCD",
    ),
    "pcd of an unknown encoding": ("a.pcd", pcd(data="morse"), "encoding 'morse'"),
    "pcd of 10⁹ points": ("a.pcd", pcd(count=10**9), "1000000000 points"),
    "pcd without z": (
        "a.pcd",
        pcd(fields="x y intensity"),
        "no fields x, y and z, only x, y, intensity",
    ),
    # XYZ and NPY.
    "xyz of comments": ("a.xyz", b"# x y z\n", "no points"),
    "xyz cut": ("a.xyz", xyz() + b"0.1 0.1", "line 101, '0.1 0.1'"),
    "xyz with another width": ("a.xyz", xyz() + b"1 2 3 4", "3 numbers as in the first row, got 4"),
    "xyz of words": ("a.xyz", b"x y z\n" * 30 + xyz(), "line 21, 'x y z'"),
    "npy of two columns": ("a.npy", npy(CLOUD[:, :2]), r"shape \(n, 3\).*\(100, 2\)"),
    "npy of words": ("a.npy", npy(np.array([["a", "b", "c"]])), "must contain numbers"),
    "npy of objects": (
        "a.npy",
        npy(np.array([None, {}]), allow_pickle=True),
        "a.npy holds pickled Python objects",
    ),
    "npy cut": ("a.npy", cut(npy()), "truncated: its header promises 2400 bytes"),
    "npy of 10¹² points": ("a.npy", npy_claiming("(1000000000000, 3)"), "promises 24000000000000"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_refused_in_one_sentence(case, tmp_path):
    name, content, words = BROKEN[case]
    path = tmp_path / name
    path.write_bytes(content)
    if path.suffix == ".dae" and content:
        pytest.importorskip("collada")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words) as caught:
            read_geometry(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence.replace(str(tmp_path), "")) < 250
    assert str(tmp_path) in sentence
    assert peak < 60e6, "a claim in a header reserved memory"


@pytest.mark.parametrize("ending", READERS)
def test_gigantic_file_is_not_read(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    with path.open("wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)  # takes no space on the disk
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than the limit of 256 MiB"):
            read_geometry(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", READERS)
def test_missing_file_and_folder_are_named(ending, tmp_path):
    path = tmp_path / f"a{ending}"
    with pytest.raises(InputError, match=f"a{ending} does not exist"):
        read_geometry(path)
    path.mkdir()
    with pytest.raises(InputError, match=f"a{ending} is not a file"):
        read_geometry(path)


def test_scene_that_multiplies_its_mesh_is_refused(tmp_path):
    triangles = np.tile(TRIANGLES, (5000, 1))
    path = tmp_path / "a.glb"
    path.write_bytes(glb(faces=triangles, nodes=[{"mesh": 0}] * 100))
    with pytest.raises(InputError, match="6000000 faces"):
        read_geometry(path)
