"""Contents of geometry files, good and bad, as bytes: most are a cube or a cloud."""

from __future__ import annotations

import io
import json
import struct

import numpy as np

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * 0.125
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
TRIANGLES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))])
"""A cube of 0.125 m, counter-clockwise seen from outside."""

NAN = CORNERS + np.where(np.arange(24).reshape(8, 3) == 7, np.nan, 0)
CLOUD = np.random.default_rng(0).uniform(-0.1, 0.1, (100, 3)) * [1, 1, 0]
GARBAGE = bytes(np.random.default_rng(1).integers(0, 256, 5000, np.uint8))


def cut(content: bytes, share: float = 0.7) -> bytes:
    """The first part of a file, as after an interrupted download."""
    return content[: int(share * len(content))]


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
    """The body of a compressed PCD that consists of literal runs alone, which is allowed."""
    plain = points.astype("<f4").T.tobytes()
    runs = [plain[start : start + 32] for start in range(0, len(plain), 32)]
    packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
    return struct.pack("<II", len(packed), len(plain)) + packed[: len(packed) - cut]


def lzf_compress(data: bytes) -> bytes:
    """A slow and simple LZF: the longest earlier match of 3 to 264 bytes, else a literal."""
    out, position, literals = bytearray(), 0, bytearray()

    def flush() -> None:
        while literals:
            run = literals[:32]
            out.append(len(run) - 1)
            out.extend(run)
            del literals[:32]

    while position < len(data):
        best, distance = 0, 0
        for start in range(max(0, position - 8192), position):
            length = 0
            while (
                length < 264
                and position + length < len(data)
                and data[start + length] == data[position + length]
            ):
                length += 1
            if length > best:
                best, distance = length, position - start
        if best < 3:
            literals.append(data[position])
            position += 1
            continue
        flush()
        high, low = divmod(distance - 1, 256)
        out += bytes([min(best - 2, 7) << 5 | high])
        out += bytes([best - 9]) if best >= 9 else b""
        out += bytes([low])
        position += best
    flush()
    return bytes(out)


def xyz(points=CLOUD) -> bytes:
    return "\n".join(" ".join(map(repr, p)) for p in points.tolist()).encode() + b"\n"


def npy(array=CLOUD, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npy_claiming(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(2400)
