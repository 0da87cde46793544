"""Broken and odd files: each ends in one clear sentence or in a sensible object."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grasp.objects.loading import load_object
from pcdiff.errors import InputError
from pcdiff.geometry.limits import MAXIMUM_BYTES

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * 0.125
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))])
"""A cube of 0.125 m, counter-clockwise seen from outside."""

NAN = CORNERS + np.where(np.arange(24).reshape(8, 3) == 7, np.nan, 0)
LINE = CORNERS[:, :1] * [1, 2, 3]
CLOUD = np.random.default_rng(0).uniform(-0.1, 0.1, (100, 3)) * [1, 1, 0]


def obj(vertices=CORNERS, faces=TRIANGLES, start=1) -> bytes:
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += ["f " + " ".join(str(int(i) + start) for i in face) for face in faces]
    return "\n".join(lines).encode() + b"\n"


def off(vertices=CORNERS, faces=TRIANGLES, header="OFF\n{} {} 0") -> bytes:
    lines = [header.format(len(vertices), len(faces))]
    lines += [f"{x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [f"{len(face)} " + " ".join(map(str, face)) for face in faces]
    return "\n".join(lines).encode() + b"\n"


def stl(vertices=CORNERS, faces=TRIANGLES, header=b"", count=None) -> bytes:
    rows = [
        struct.pack("<12fH", 0, 0, 0, *vertices[np.array(face)].reshape(-1), 0) for face in faces
    ]
    count = len(faces) if count is None else count
    return header.ljust(80, b"\0") + struct.pack("<I", count) + b"".join(rows)


def ascii_stl(vertices=CORNERS, faces=TRIANGLES) -> bytes:
    lines = ["solid cube"]
    for face in faces:
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += [f"vertex {x!r} {y!r} {z!r}" for x, y, z in vertices[face].tolist()]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid cube"]).encode() + b"\n"


def ply(vertices=CORNERS, faces=TRIANGLES, encoding="ascii", counts=None, index="int") -> bytes:
    counts = counts or (len(vertices), len(faces))
    header = [
        "ply",
        f"format {encoding} 1.0",
        f"element vertex {counts[0]}",
        *(f"property double {axis}" for axis in "xyz"),
        f"element face {counts[1]}",
        f"property list uchar {index} vertex_indices",
        "end_header",
    ]
    text = "\n".join(header).encode() + b"\n"
    if encoding == "ascii":
        rows = [" ".join(map(repr, v)) for v in vertices.tolist()]
        rows += [f"{len(f)} " + " ".join(map(str, f)) for f in faces]
        return text + "\n".join(rows).encode() + b"\n"
    order = "<" if "little" in encoding else ">"
    text += vertices.astype(f"{order}f8").tobytes()
    return text + b"".join(struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)


def glb(vertices=CORNERS, faces=TRIANGLES, nodes=None, count=None, version=2) -> bytes:
    points, corners = vertices.astype("<f4").tobytes(), faces.astype("<u4").tobytes()
    nodes = nodes or [{"mesh": 0}]
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": count or len(vertices),
                "type": "VEC3",
            },
            {"bufferView": 1, "componentType": 5125, "count": faces.size, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(points)},
            {"buffer": 0, "byteOffset": len(points), "byteLength": len(corners)},
        ],
        "buffers": [{"byteLength": len(points) + len(corners)}],
    }
    return glb_of(json.dumps(document).encode(), points + corners, version)


def glb_of(text: bytes, buffer: bytes = b"", version=2) -> bytes:
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(buffer), b"BIN\0") + buffer
    return struct.pack("<4sII", b"glTF", version, 12 + len(chunks)) + chunks


def dae(vertices=CORNERS, faces=TRIANGLES, unit=1.0, translation=(0, 0, 0), scene=True) -> bytes:
    numbers = " ".join(map(repr, vertices.reshape(-1).tolist()))
    corners = " ".join(map(str, faces.reshape(-1)))
    visual = """<library_visual_scenes><visual_scene id="scene"><node>
      <translate>{} {} {}</translate><instance_geometry url="#cube"/></node></visual_scene>
      </library_visual_scenes><scene><instance_visual_scene url="#scene"/></scene>"""
    return f"""<?xml version="1.0"?>
    <COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
    <asset><unit meter="{unit}"/><up_axis>Y_UP</up_axis></asset>
    <library_geometries><geometry id="cube"><mesh>
    <source id="points"><float_array id="numbers" count="{vertices.size}">{numbers}</float_array>
    <technique_common><accessor source="#numbers" count="{len(vertices)}" stride="3">
    <param name="X" type="float"/><param name="Y" type="float"/><param name="Z" type="float"/>
    </accessor></technique_common></source>
    <vertices id="corners"><input semantic="POSITION" source="#points"/></vertices>
    <triangles count="{len(faces)}"><input semantic="VERTEX" source="#corners" offset="0"/>
    <p>{corners}</p></triangles></mesh></geometry></library_geometries>
    {visual.format(*translation) if scene else ""}</COLLADA>""".encode()


def pcd(points=CLOUD, data="ascii", fields="x y z", height=1, count=None, body=None) -> bytes:
    width = len(points) // height if count is None else count
    header = f"""# .PCD v0.7
VERSION 0.7
FIELDS {fields}
SIZE 4 4 4
TYPE F F F
COUNT 1 1 1
WIDTH {width}
HEIGHT {height}
VIEWPOINT 0 0 0 1 0 0 0
POINTS {width * height}
DATA {data}
"""
    if body is None and data == "binary":
        body = points.astype("<f4").tobytes()
    elif body is None:
        body = "\n".join(" ".join(map(repr, p)) for p in points.tolist()).encode() + b"\n"
    return header.encode() + body


def compressed(points=CLOUD, cut=0) -> bytes:
    """The body of a compressed PCD: literal runs only, which is allowed, if no compression."""
    plain = points.astype("<f4").T.tobytes()
    runs = [plain[start : start + 32] for start in range(0, len(plain), 32)]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    return struct.pack("<II", len(packed), len(plain)) + packed[: len(packed) - cut]


def xyz(points=CLOUD) -> bytes:
    return "\n".join(" ".join(map(repr, p)) for p in points.tolist()).encode() + b"\n"


def npy(array=CLOUD, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npy_claiming(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(2400)


MATRIX = np.array([[100.0, 0, 15.5], [0, 100.0, 11.5], [0, 0, 1]])
DEPTH = np.full((24, 32), 0.5)
MASK = np.zeros((24, 32), bool)
MASK[6:18, 8:24] = True


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


MILLIMETRES = (DEPTH * 1000).astype(np.uint16)


def png(array=MILLIMETRES) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return file.getvalue()


def camera(**changes) -> bytes:
    values = {"fx": 100, "fy": 100, "cx": 15.5, "cy": 11.5, "depth_unit": "mm"} | changes
    return json.dumps({key: value for key, value in values.items() if value is not None}).encode()


def cut(content: bytes, share: float = 0.7) -> bytes:
    return content[: int(share * len(content))]


GARBAGE = bytes(np.random.default_rng(1).integers(0, 256, 5000, np.uint8))

# Each case: the files (the first is loaded), the arguments, and what the sentence says.
BROKEN = {
    # Any file.
    "no file": ({}, {}, "does not exist"),
    "unknown ending": ({"a.txt": b"1"}, {}, "must end in"),
    "no ending": ({"a": b"1"}, {}, "must end in"),
    "unknown unit": ({"a.obj": obj()}, {"unit": "furlong"}, "unit must be one of"),
    "scale of zero": ({"a.obj": obj()}, {"scale": 0.0}, "scale must be"),
    "scale of NaN": ({"a.obj": obj()}, {"scale": float("nan")}, "scale must be"),
    "negative scale": ({"a.obj": obj()}, {"scale": -1.0}, "scale must be"),
    "mask of a mesh": ({"a.obj": obj()}, {"mask": MASK}, "no depth image"),
    "camera of a cloud": ({"a.npy": npy()}, {"intrinsics": MATRIX}, "no depth image"),
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
    "90 m mug": ({"a.obj": obj(CORNERS * 720)}, {}, r"90 m long.* likely mm \(0.09 m\).*--unit mm"),
    "10 m mug": ({"a.obj": obj(CORNERS * 80)}, {}, r"likely cm \(0.1 m\)"),
    "mug in mm is in m": ({"a.obj": obj()}, {"unit": "mm"}, r"likely m \(0.12 m\)"),
    "cloud in mm": ({"a.xyz": xyz(CLOUD * 1000)}, {}, "likely mm"),
    "no unit explains it": ({"a.stl": stl(CORNERS * 1e7)}, {}, "give the unit or the scale"),
    "far away": ({"a.obj": obj(CORNERS + 1e12)}, {}, "from the origin"),
    "beyond floating point": ({"a.obj": obj(CORNERS * 1e308)}, {"scale": 1e300}, "from the origin"),
    # OBJ.
    "obj without faces": ({"a.obj": obj(faces=[])}, {}, "without faces"),
    "obj without anything": ({"a.obj": b"\n\n# cube\n"}, {}, "without faces"),
    "obj with a missing corner": ({"a.obj": obj(start=2)}, {}, "not there"),
    "obj counted from 0": ({"a.obj": obj(start=0)}, {}, "line 9, 'f 0 1 3'"),
    "obj counted back too far": ({"a.obj": obj(start=-12)}, {}, "not there"),
    "obj with an edge": ({"a.obj": obj() + b"f 1 2\n"}, {}, "line 21, 'f 1 2'"),
    "obj cut in a vertex": ({"a.obj": obj() + b"v 0.1 0"}, {}, "line 21, 'v 0.1 0'"),
    "obj with words": ({"a.obj": b"v a b c\n" + obj()}, {}, "line 1, 'v a b c'"),
    "obj with NaN": ({"a.obj": obj(NAN)}, {}, "vertex that is not finite"),
    "obj with infinity": ({"a.obj": obj().replace(b"0.125", b"1e400")}, {}, "not finite"),
    "obj without extent": ({"a.obj": obj(CORNERS * 0)}, {}, "without area"),
    "obj on a line": ({"a.obj": obj(LINE)}, {}, "without area"),
    # STL.
    "stl cut": ({"a.stl": cut(stl())}, {}, "promises 12 triangles"),
    "stl cut in its header": ({"a.stl": cut(stl(), 0.05)}, {}, "truncated"),
    "stl of no triangles": ({"a.stl": stl(faces=[])}, {}, "without faces"),
    "stl of 10⁷ triangles": ({"a.stl": stl(count=10**7)}, {}, "promises 10000000"),
    "stl with NaN": ({"a.stl": stl(NAN)}, {}, "not finite"),
    "stl without area": ({"a.stl": stl(CORNERS * 0)}, {}, "without area"),
    "text stl cut": ({"a.stl": cut(ascii_stl())}, {}, "truncated"),
    "text stl with words": ({"a.stl": ascii_stl().replace(b"0.125", b"?")}, {}, "damaged in line"),
    "text stl with NaN": ({"a.stl": ascii_stl(NAN)}, {}, "not finite"),
    "stl is a letter": ({"a.stl": b"Dear Sir or Madam, " * 9}, {}, "not an STL file"),
    # PLY.
    "ply with another beginning": ({"a.ply": b"x" + ply()}, {}, "not begin with ply"),
    "ply without end_header": ({"a.ply": cut(ply(), 0.1)}, {}, "no end_header"),
    "ply cut": ({"a.ply": cut(ply())}, {}, "truncated"),
    "ply cut in the vertices": ({"a.ply": cut(ply(), 0.5)}, {}, "truncated"),
    "binary ply cut": ({"a.ply": cut(ply(encoding="binary_little_endian"))}, {}, "truncated"),
    "ply of 10⁷ faces": ({"a.ply": ply(counts=(8, 10**7))}, {}, "10000000 rows"),
    "binary ply of 4·10⁶ faces": (
        {"a.ply": ply(encoding="binary_little_endian", counts=(8, 4 * 10**6))},
        {},
        "truncated",
    ),
    "ply of 10¹² vertices": ({"a.ply": ply(counts=(10**12, 12))}, {}, "1000000000000 rows"),
    "ply of −1 vertices": ({"a.ply": ply(counts=(-1, 12))}, {}, "damaged PLY"),
    "ply of an unknown type": ({"a.ply": ply(index="quaternion")}, {}, "damaged PLY"),
    "ply of an unknown encoding": ({"a.ply": ply(encoding="morse")}, {}, "encoding 'morse'"),
    "ply without z": ({"a.ply": ply().replace(b"double z", b"double w")}, {}, "x, y and z"),
    "ply with other lists": (
        {"a.ply": ply().replace(b"vertex_ind", b"edge_ind")},
        {},
        "vertex_ind",
    ),
    "ply with an edge": ({"a.ply": ply(faces=[(0, 1), *TRIANGLES])}, {}, "three corners"),
    "ply with a missing corner": ({"a.ply": ply(faces=TRIANGLES + 1)}, {}, "not there"),
    "ply with NaN": ({"a.ply": ply(NAN)}, {}, "not finite"),
    "ply of few points": ({"a.ply": ply(faces=[])}, {}, "8 different points"),
    # OFF.
    "off with another beginning": ({"a.off": off(header="{} {} 0")}, {}, "not begin with OFF"),
    "off cut": ({"a.off": cut(off())}, {}, "truncated|damaged"),
    "off cut in the vertices": ({"a.off": cut(off(), 0.2)}, {}, "truncated|damaged"),
    "off without counts": ({"a.off": b"OFF\n"}, {}, "damaged in line 1"),
    "off of 10⁷ faces": ({"a.off": b"OFF\n8 10000000 0\n"}, {}, "10000000 faces"),
    "off with NaN": ({"a.off": off(NAN)}, {}, "not finite"),
    "off with a missing corner": ({"a.off": off(faces=TRIANGLES - 1)}, {}, "not there"),
    # GLB and DAE.
    "glb cut": ({"a.glb": cut(glb())}, {}, "truncated"),
    "glb cut in its header": ({"a.glb": glb()[:16]}, {}, "truncated"),
    "glb of version 1": ({"a.glb": glb(version=1)}, {}, "glTF 2.0"),
    "glb without JSON": ({"a.glb": glb_of(b"{")}, {}, "damaged"),
    "glb of a list": ({"a.glb": glb_of(b"[]")}, {}, "damaged"),
    "glb of nothing": ({"a.glb": glb_of(b"{}")}, {}, "damaged|without faces"),
    "glb of 10⁹ vertices": ({"a.glb": glb(count=10**9)}, {}, "1000000000 items"),
    "glb of more vertices than it has": ({"a.glb": glb(count=10**6)}, {}, "damaged"),
    "glb with a missing corner": ({"a.glb": glb(faces=TRIANGLES + 100)}, {}, "not there|damaged"),
    "glb with NaN": ({"a.glb": glb(NAN)}, {}, "not finite"),
    "dae cut": ({"a.dae": cut(dae())}, {}, "damaged"),
    "dae without a scene": ({"a.dae": dae(scene=False)}, {}, "damaged|without faces"),
    "dae with NaN": ({"a.dae": dae(NAN)}, {}, "not finite"),
    "dae with a missing corner": ({"a.dae": dae(faces=TRIANGLES + 100)}, {}, "without faces"),
    # PCD.
    "pcd cut": ({"a.pcd": cut(pcd())}, {}, "promises 100 points"),
    "pcd cut in its header": ({"a.pcd": pcd()[:60]}, {}, "no line DATA"),
    "binary pcd cut": ({"a.pcd": cut(pcd(data="binary"))}, {}, "promises 100 points"),
    "compressed pcd cut": (
        {"a.pcd": pcd(data="binary_compressed", body=compressed(cut=99))},
        {},
        "truncated",
    ),
    "compressed pcd of zeros": (
        {"a.pcd": pcd(data="binary_compressed", body=struct.pack("<II", 9, 1200) + bytes(9))},
        {},
        "damaged PCD",
    ),
    "pcd of an unknown encoding": ({"a.pcd": pcd(data="morse")}, {}, "encoding 'morse'"),
    "pcd of 10⁹ points": ({"a.pcd": pcd(count=10**9)}, {}, "1000000000 points"),
    "pcd without z": ({"a.pcd": pcd(fields="x y intensity")}, {}, "damaged PCD"),
    "pcd with NaN": ({"a.pcd": pcd(np.vstack([CLOUD, CLOUD[:1] * np.nan]))}, {}, "not finite"),
    "pcd of nothing": ({"a.pcd": pcd(CLOUD[:0])}, {}, "0 different points"),
    # XYZ and NPY.
    "xyz of comments": ({"a.xyz": b"# x y z\n"}, {}, "no points"),
    "xyz of four columns": ({"a.xyz": xyz(np.hstack([CLOUD, CLOUD[:, :1]]))}, {}, "in line 1"),
    "xyz cut": ({"a.xyz": xyz() + b"0.1 0.1"}, {}, "line 101, '0.1 0.1'"),
    "xyz of words": ({"a.xyz": b"x y z\n" + xyz()}, {}, "line 1, 'x y z'"),
    "xyz with colours": ({"a.xyz": xyz(np.hstack([CLOUD, CLOUD + 9]))}, {}, "100 normals of 100"),
    "xyz with NaN": ({"a.xyz": xyz(CLOUD * [1, np.nan, 1])}, {}, "point that is not finite"),
    "npy of five points": ({"a.npy": npy(CLOUD[:5])}, {}, "5 different points"),
    "npy of one point": ({"a.npy": npy(CLOUD * 0)}, {}, "1 different points"),
    "npy on a line": ({"a.npy": npy(CLOUD[:, :1] * [1, 2, 3])}, {}, "on one line"),
    "npy of no points": ({"a.npy": npy(CLOUD[:0])}, {}, "damaged|0 different points"),
    "npy of two columns": ({"a.npy": npy(CLOUD[:, :2])}, {}, r"shape \(n, 3\).*\(100, 2\)"),
    "npy of words": ({"a.npy": npy(np.array([["a", "b", "c"]]))}, {}, "must hold numbers"),
    "npy of objects": ({"a.npy": npy(np.array([None, {}]), allow_pickle=True)}, {}, "damaged"),
    "npy cut": ({"a.npy": cut(npy())}, {}, "damaged"),
    "npy of 10¹² points": ({"a.npy": npy_claiming("(1000000000000, 3)")}, {}, "damaged"),
    "npy with NaN": ({"a.npy": npy(CLOUD * np.nan)}, {}, "not finite"),
    "npy with zero normals": ({"a.npy": npy(np.hstack([CLOUD, CLOUD * 0]))}, {}, "100 normals"),
    # Depth images.
    "npz without depth": ({"a.npz": npz(depth=None)}, {}, "no array depth"),
    "npz without intrinsics": ({"a.npz": npz(intrinsics=None)}, {}, "no array intrinsics"),
    "npz with a vector for intrinsics": ({"a.npz": npz(intrinsics=MATRIX[0])}, {}, r"\(3, 3\)"),
    "npz with a mirrored camera": ({"a.npz": npz(intrinsics=-MATRIX)}, {}, "focal lengths above 0"),
    "npz with a camera of NaN": ({"a.npz": npz(intrinsics=MATRIX * np.nan)}, {}, "finite"),
    "npz of a colour picture": ({"a.npz": npz(depth=np.ones((24, 32, 3)))}, {}, "height, width"),
    "npz with another mask": ({"a.npz": npz(mask=MASK[1:])}, {}, "the mask of"),
    "npz with a mask of floats": ({"a.npz": npz(mask=DEPTH)}, {}, "the mask of"),
    "npz of no depth": ({"a.npz": npz(depth=DEPTH * 0)}, {}, "no depth"),
    "npz with an empty mask": ({"a.npz": npz(mask=MASK & False)}, {}, "no depth in its mask"),
    "npz of a negative depth": ({"a.npz": npz(depth=-DEPTH)}, {}, "negative depth, -0.5"),
    "npz in mm": ({"a.npz": npz(depth=DEPTH * 1000)}, {}, "likely mm"),
    "npz with a background": ({"a.npz": npz(depth=20 * DEPTH, mask=None)}, {}, "a mask of the obj"),
    "npz cut": ({"a.npz": cut(npz())}, {}, "damaged npz"),
    "npz of objects": ({"a.npz": npz(depth=np.array([[None]]))}, {}, "damaged npz"),
    "npz of 10¹² pixels": (
        {"a.npz": zipped(depth=npy_claiming("(1000000, 1000000)"), intrinsics=npy(MATRIX))},
        {},
        "bytes in the array depth",
    ),
    "png without a camera": ({"a.png": png()}, {}, "without a camera"),
    "png without a unit": (
        {"a.png": png(), "a.json": camera(depth_unit=None)},
        {},
        "unit of the depths .* is not known",
    ),
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
        "not those of .* by 125 m for a mesh 0.125 m long",
    ),
    "parts 5 m away": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj(CORNERS + 5)},
        {},
        "not those of .* by 5 m",
    ),
    "parts of half of it": (
        {"a.obj": obj(CORNERS * 1000), "a.parts.obj": b"o a\n" + obj(CORNERS * [500, 1000, 1000])},
        {"unit": "mm"},
        "not those of .* by 0.0625 m",
    ),
    "a part without faces": (
        {"a.obj": obj(), "a.parts.obj": b"o a\n" + obj() + b"o b\n"},
        {},
        "vol",
    ),
}


def write(folder: Path, files: dict[str, bytes], first: str = "a.obj") -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder / next(iter(files), first)


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_ends_in_one_sentence(case, tmp_path):
    files, arguments, words = BROKEN[case]
    path = write(tmp_path, files)
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
    assert peak < 60e6, "a claim in a header reserved memory"


def test_there_are_enough_cases():
    assert len(BROKEN) + len(ODD) >= 150


def test_folder_is_no_object(tmp_path):
    (tmp_path / "a.obj").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        load_object(tmp_path / "a.obj")


@pytest.mark.parametrize("ending", ["obj", "stl", "ply", "glb", "dae", "pcd", "npy", "npz", "png"])
def test_gigantic_file_is_not_read(ending, tmp_path):
    path = tmp_path / f"a.{ending}"
    (tmp_path / "a.json").write_bytes(camera())
    with path.open("wb") as file:
        file.truncate(MAXIMUM_BYTES + 1)  # takes no room on the disk
    if ending == "dae":
        pytest.importorskip("collada")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than the 256 MiB"):
            load_object(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_scene_that_multiplies_its_mesh_is_refused(tmp_path):
    triangles = np.tile(TRIANGLES, (5000, 1))
    path = tmp_path / "a.glb"
    path.write_bytes(glb(faces=triangles, nodes=[{"mesh": 0}] * 100))
    with pytest.raises(InputError, match="6000000 faces"):
        load_object(path)


# -------------------------------------------------------------------------------------------- odd

FLIPPED = TRIANGLES[:, ::-1]
HALF_FLIPPED = np.where(np.arange(12)[:, None] % 2, TRIANGLES, FLIPPED)
SOUP = CORNERS[TRIANGLES.reshape(-1)]
STRAY = np.vstack([[[9.0, 9, 9]], CORNERS, [[-9.0, 9, 9]]])
FLAT_FACES = np.vstack([TRIANGLES, [[0, 0, 1], [3, 3, 3]]])

# Each is the cube: the files, the arguments.
ODD = {
    "inside-out obj": ({"a.obj": obj(faces=FLIPPED)}, {}),
    "inside-out stl": ({"a.stl": stl(faces=FLIPPED)}, {}),
    "inside-out ply": ({"a.ply": ply(faces=FLIPPED)}, {}),
    "inside-out off": ({"a.off": off(faces=FLIPPED)}, {}),
    "inside-out glb": ({"a.glb": glb(faces=FLIPPED)}, {}),
    "half inside-out obj": ({"a.obj": obj(faces=HALF_FLIPPED)}, {}),
    "half inside-out stl": ({"a.stl": stl(faces=HALF_FLIPPED)}, {}),
    "mirrored glb": (
        {"a.glb": glb(CORNERS * [-1, 1, 1], FLIPPED, [{"mesh": 0, "scale": [-1, 1, 1]}])},
        {},
    ),
    "triangle soup": ({"a.obj": obj(SOUP, np.arange(36).reshape(-1, 3))}, {}),
    "stray vertices": ({"a.obj": obj(STRAY, TRIANGLES + 1)}, {}),
    "faces without area": ({"a.obj": obj(faces=FLAT_FACES)}, {}),
    "quadrilaterals in obj": ({"a.obj": obj(faces=SIDES)}, {}),
    "quadrilaterals in off": ({"a.off": off(faces=SIDES)}, {}),
    "quadrilaterals in ply": ({"a.ply": ply(faces=SIDES)}, {}),
    "mixed polygons in ply": ({"a.ply": ply(faces=[*SIDES[:3], *TRIANGLES[6:]])}, {}),
    "mixed polygons in binary ply": (
        {"a.ply": ply(faces=[*SIDES[:3], *TRIANGLES[6:]], encoding="binary_little_endian")},
        {},
    ),
    "mixed polygons in big-endian ply": (
        {"a.ply": ply(faces=[*SIDES[:3], *TRIANGLES[6:]], encoding="binary_big_endian")},
        {},
    ),
    "big-endian ply": ({"a.ply": ply(encoding="binary_big_endian")}, {}),
    "ply with bytes after it": ({"a.ply": ply(encoding="binary_little_endian") + b"12"}, {}),
    "obj counted back": ({"a.obj": obj(start=-8)}, {}),
    "obj with textures": (
        {"a.obj": b"mtllib no.mtl\nvt 0 0\n" + obj().replace(b"f 1 ", b"f 1/1 ")},
        {},
    ),
    "obj with other alphabets": ({"a.obj": b"# \xe9\xff\no \xfc\n" + obj()}, {}),
    "obj with Windows line ends": ({"a.obj": obj().replace(b"\n", b"\r\n")}, {}),
    "obj in capitals": ({"a.OBJ": obj()}, {}),
    "binary stl that says solid": ({"a.stl": stl(header=b"solid cube")}, {}),
    "text stl": ({"a.stl": ascii_stl()}, {}),
    "text stl in capitals": ({"a.stl": ascii_stl().upper().replace(b"SOLID C", b"solid C", 1)}, {}),
    "off of ModelNet": ({"a.off": off(header="OFF{} {} 0")}, {}),
    "off with comments": ({"a.off": off(header="# a cube\nOFF # of\n\n{} {} 0 # counts")}, {}),
    "off with colours": ({"a.off": off().replace(b"\n3 0 1 3\n", b"\n3 0 1 3 255 0 0\n")}, {}),
    "obj in mm": ({"a.obj": obj(CORNERS * 1000)}, {"unit": "mm"}),
    "stl in cm": ({"a.stl": stl(CORNERS * 100)}, {"unit": "cm"}),
    "ply in inches": ({"a.ply": ply(CORNERS / 0.0254)}, {"unit": "inch"}),
    "off with a scale": ({"a.off": off(CORNERS * 8)}, {"scale": 0.125}),
    "dae in mm": ({"a.dae": dae(CORNERS * 1000, unit=0.001)}, {}),
    "dae in mm that says m": ({"a.dae": dae(CORNERS * 1000)}, {"unit": "mm"}),
    "dae in m that says mm": ({"a.dae": dae(unit=0.001)}, {"unit": "m"}),
    "moved dae": ({"a.dae": dae(CORNERS - [1, 2, 3], translation=(1, 2, 3))}, {}),
    "moved glb": (
        {"a.glb": glb(CORNERS - [1, 2, 3], nodes=[{"mesh": 0, "translation": [1, 2, 3]}])},
        {},
    ),
    "two halves in glb": (
        {
            "a.glb": glb(
                CORNERS * [0.5, 1, 1],
                nodes=[{"mesh": 0}, {"mesh": 0, "translation": [0.0625, 0, 0]}],
            )
        },
        {},
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_file_is_the_cube(case, tmp_path):
    files, arguments = ODD[case]
    path = write(tmp_path, files)
    if path.suffix == ".dae":
        pytest.importorskip("collada")
    cube = load_object(path, **arguments)
    assert np.allclose(cube.bounds, [[0, 0, 0], [0.125, 0.125, 0.125]], atol=1e-8)
    assert np.allclose(cube.centre, 0.0625, atol=1e-8)
    triangles = cube.vertices[cube.faces]
    # The volume by the divergence theorem: of a surface that is all there, and faces outward.
    assert np.isclose(np.linalg.det(triangles).sum() / 6, 0.125**3)
    assert set(map(tuple, cube.vertices)) <= set(map(tuple, triangles.reshape(-1, 3)))
    assert len(np.unique(cube.vertices, axis=0)) == len(cube.vertices)


def test_pixels_that_saw_nothing_are_left_out(tmp_path):
    holes = DEPTH.copy()
    holes[8, 10:14] = [0, np.nan, np.inf, -np.inf]
    path = tmp_path / "a.npz"
    path.write_bytes(npz(depth=holes))
    assert len(load_object(path).vertices) == MASK.sum() - 4


def test_organised_pcd_may_have_holes(tmp_path):
    points = CLOUD.copy()
    points[::10] = np.nan
    path = tmp_path / "a.pcd"
    path.write_bytes(pcd(points, height=10))
    assert len(load_object(path).vertices) == 90
