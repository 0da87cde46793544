"""Hostile meshes, clouds, arrays and pictures."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

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
from tests.hostile.case import FIFO, Case

MESH = "grasp sample {file} --count 1 --weights {field}"
CLOUD_COMMAND = "pcdiff reconstruct {file} --weights {weights} --output {out}"
OBJECTS = (MESH, "grasp evaluate {file}", "grasp simulate {file} {grasps}")
SCENE = "grasp sample {box} --count 1 --weights {field} --scene {scene}"

SOUND = {
    "obj": obj(),
    "stl": stl(),
    "ply": ply(),
    "off": off(),
    "glb": glb(),
    "dae": dae(),
    "pcd": pcd(),
    "xyz": xyz(),
    "npy": npy(),
}
LONG = b"1 " * 600_000


def gltf(**changes) -> bytes:
    """A glb file whose JSON has other entries."""
    sound = glb()
    length = struct.unpack("<I", sound[12:16])[0]
    document = json.loads(sound[20 : 20 + length])
    return glb_of(json.dumps({**document, **changes}).encode(), sound[28 + length :])


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def ply_header(*lines: str, body: bytes = b"") -> bytes:
    return "\n".join(["ply", "format ascii 1.0", *lines, "end_header\n"]).encode() + body


def png(width: int, height: int, rows: bytes, depth: int = 16) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def npz(**arrays: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def any_kind() -> Iterator[Case]:
    """What no reader may accept, for every reader of geometry and every command that has one."""
    contents: dict[str, bytes | str] = {
        "nothing": b"",
        "one byte": b"\0",
        "garbage": GARBAGE,
        "a pipe": FIFO,
        "zeros": bytes(5000),
        "one endless line": LONG,
        "a zip archive": npz(depth=npy()),
        "a gzip stream": b"\x1f\x8b\x08" + GARBAGE[:500],
    }
    for ending, sound in SOUND.items():
        for what, content in {**contents, "half": cut(sound, 0.5)}.items():
            if (ending, what) == ("xyz", "half"):
                continue  # half a list of points is a list of points
            commands = [*OBJECTS] if ending in ("obj", "stl", "glb") else [MESH]
            if ending in ("ply", "xyz", "npy", "pcd"):
                commands.append(CLOUD_COMMAND)
            for command in commands:
                name = f"{ending} of {what} for {' '.join(command.split()[:2])}"
                yield Case(name, f"a.{ending}", content, command)


def meshes() -> Iterator[Case]:
    def mesh(name: str, content: bytes, sentence: str = "{file}", **more) -> Case:
        return Case(name, f"a.{name.split()[0]}", content, MESH, sentence, **more)

    yield mesh("obj counting 10²⁰", obj() + b"f 1 2 " + b"9" * 20 + b"\n")
    yield mesh("obj counting back too far", obj() + b"f -1 -2 -900\n", "vertex")
    yield mesh("obj with a number of 5000 digits", obj() + b"f 1 2 " + b"9" * 5000 + b"\n")
    yield mesh("obj continuing for ever", obj() + b"f 1 2 3 \\\n" * 2000 + LONG, "characters")
    yield mesh("stl promising 4·10⁹", stl(count=2**32 - 1), "4294967295")
    yield mesh("stl in words cut", ascii_stl()[:-40], "line 83")
    many = [f"property float p{index}" for index in range(200_000)]
    yield mesh("ply of 200,000 properties", ply_header("element vertex 1", *many), "1000 entries")
    lists = ["element face 1", *(f"property list uchar int p{i}" for i in range(2000))]
    yield mesh("ply of 2000 lists", ply_header("element vertex 1", *lists), "1000 entries")
    rows = [f"element e{index} 15000000" for index in range(900)]
    yield mesh("ply of 10¹⁰ empty rows", ply_header(*rows), "rows of all elements")
    yield mesh("ply counting 1e30", ply_header("element vertex " + "9" * 30), "at most")
    yield mesh("ply counting -1", ply_header("element vertex -1", "property float x"), "count")
    body = b"4000000000 1 2 3\n"
    face = ["element vertex 0", *(f"property float {a}" for a in "xyz"), "element face 1"]
    face.append("property list uint int vertex_indices")
    yield mesh("ply of one face with 4·10⁹ corners", ply_header(*face, body=body))
    yield mesh("ply with twice x", ply_header("element vertex 1", *["property float x"] * 2))
    yield mesh("off promising 10¹²", off(header="OFF\n1000000000000 {1} 0"), "at most")
    yield mesh("off promising -5", off(header="OFF\n-5 {1} 0"))
    for uri in ("../secret.bin", "/etc/hostname", "beside.bin", "file:///etc/hostname"):
        yield mesh(
            f"glb naming {uri}",
            gltf(buffers=[{"byteLength": 240, "uri": uri}]),
            "a glb file must contain its own geometry",
            beside={"beside.bin": FIFO},
        )
    yield mesh("glb nested 100,000 deep", glb_of(nested(100_000)))
    yield mesh("glb of a huge number", glb_of(b'{"accessors": [{"count": ' + b"9" * 5000 + b"}]}"))
    yield mesh("glb counting 1e999", glb_of(b'{"accessors": [{"count": 1e999}]}'))
    yield mesh("glb counting -1", glb(count=-1))
    sound = json.loads(glb()[20 : 20 + struct.unpack("<I", glb()[12:16])[0]])
    accessors = [{**sound["accessors"][0], "count": 10**7}] * 9
    yield mesh("glb of many accessors", gltf(accessors=accessors), "items in all accessors")
    yield mesh("glb of 20,000 nodes", gltf(nodes=[{"mesh": 0}] * 20_000), "at most 10000 nodes")
    family = [{"children": [i + 1, i + 1]} for i in range(60)]
    yield mesh("glb of 2⁶⁰ nodes", gltf(nodes=[*family, {"mesh": 0}]), "several parents")
    yield mesh("glb of a circle", gltf(nodes=[{"children": [1]}, {"children": [0], "mesh": 0}]))
    yield mesh("glb of lists 2³⁰ bytes large", glb_of(b"[" + b"[]," * 6_000_000 + b"[]]"), "MiB")
    entity = b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]>'
    file = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
    for name, more in (("laughing", entity), ("reading", file)):
        yield mesh(f"dae {name}", dae().replace(b"?>", b"?>" + more, 1), "plain COLLADA")
    yield mesh("dae that is a zip archive", npz(depth=npy()), "{file}")
    yield mesh("dae nested 50,000 deep", b"<a>" * 50_000 + b"</a>" * 50_000)


def clouds() -> Iterator[Case]:
    def cloud(name: str, content: bytes, sentence: str = "{file}") -> Iterator[Case]:
        ending = name.split(" ")[0]
        for command in (MESH, CLOUD_COMMAND):
            yield Case(
                f"{name} for {command.split()[1]}", f"a.{ending}", content, command, sentence
            )

    for shape in ("(1e30, 3)", "(True, 3)", "(10**12, 3)", "(1000000000000, 3)", "(-1, 3)", "3",
                  "(3, 3" + ", 1" * 60 + ")", "(" + "9" * 200 + ", 3)"):  # fmt: skip
        yield from cloud(f"npy claiming {shape[:20]}", npy_claiming(shape))
    yield from cloud("npy of objects", npy(np.array([{}], object), allow_pickle=True))
    yield from cloud("npy of text", npy(np.array(["a"] * 9)))
    yield from cloud("npy of NaN", npy(np.full((9, 3), np.nan)))
    yield from cloud("npy of records", npy(np.zeros(9, [("x", "f4"), ("y", "f4")])))
    yield from cloud("npy with a cut header", npy()[:40])
    bomb = struct.pack("<II", 30, 2_500_000 * 12) + b"\x00a" + b"\xe0\xff\x00" * 9
    yield from cloud(
        "pcd unpacking to much", pcd(data="binary_compressed", count=2_500_000, body=bomb)
    )
    wide = pcd(data="binary_compressed", count=2_000_000, body=struct.pack("<II", 2, 2**32 - 1))
    yield from cloud("pcd of wide rows", wide.replace(b"COUNT 1 1 1", b"COUNT 1 1 999"))
    yield from cloud("pcd of 10¹² points", pcd(count=10**12), "at most")
    yield from cloud("pcd of -4 points", pcd(count=-4))
    yield from cloud("pcd without fields", pcd(fields=""))
    yield from cloud("pcd of huge counts", pcd().replace(b"COUNT 1 1 1", b"COUNT 1 1 " + b"9" * 30))
    yield from cloud("xyz of one wide row", LONG, "characters")
    yield from cloud("xyz of words", b"a b c\n" * 50)
    yield from cloud("xyz of a huge promise", b"9" * 40 + b"\n1 2 3\n")
    yield from cloud("csv of nothing but commas", b",,,\n" * 50)
    yield from cloud("pts promising too much", b"1000000\n1 2 3\n", "promises 1000000 points")


def pictures() -> Iterator[Case]:
    camera = {"fx": 100, "fy": 100, "cx": 2, "cy": 2, "depth_unit": "mm"}
    small = png(4, 4, zlib.compress(b"".join(b"\0" + b"\1\0" * 4 for _ in range(4))))

    def picture(name: str, content: bytes | str, sentence: str, **changes) -> Case:
        text = json.dumps({**camera, **changes}).encode()
        return Case(name, "a.png", content, MESH, sentence, {"a.json": text}, may_open=True)

    yield picture("png of 10⁹ pixels", png(2**15, 2**15, zlib.compress(bytes(99))), "{file}")
    large = png(10**4, 10**4, zlib.compress(bytes(99)))
    yield picture("png of 10⁸ pixels", large, "100000000 pixels")
    yield picture(
        "png of 2³¹ pixels", png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(99))), "{file}"
    )
    yield picture("png without rows", png(4, 4, b""), "{file}")
    yield picture("png with a bomb", png(4, 4, zlib.compress(bytes(10**8))), "{file}")
    yield picture("png that is a pipe", FIFO, "not a file")
    yield picture("png of garbage", GARBAGE, "{file}")
    for name, value in {"list": [1], "none": None, "text": "a", "nan": float("nan"),
                        "infinity": float("inf"), "huge": 10**400, "zero": 0}.items():  # fmt: skip
        yield picture(f"camera with a focal length of {name}", small, "a", fx=value)
    yield picture("camera with a unit of lists", small, "depth_unit", depth_unit=["mm"])
    for name, text in {"nested": nested(100_000), "digits": b'{"fx": ' + b"9" * 5000 + b"}",
                       "a list": b"[]", "nothing": b"", "bytes": b"\xff\xfe"}.items():  # fmt: skip
        yield Case(f"camera of {name}", "a.json", text, "grasp sample {folder}/a.png --count 1",
                   "a.json", {"a.png": small}, may_open=True)  # fmt: skip
    yield Case("camera that is a pipe", "a.json", FIFO, "grasp sample {folder}/a.png --count 1 "
               "--intrinsics {file}", "not a file", {"a.png": small}, may_open=True)  # fmt: skip
    pinhole = npy(np.array([[100.0, 0, 2], [0, 100, 2], [0, 0, 1]]))
    depth = npy(np.ones((4, 4)))
    for name, content in {
        "claiming 10¹² pixels": npz(depth=npy_claiming("(1000000, 1000000)"), intrinsics=pinhole),
        "of objects": npz(depth=npy(np.array([{}], object), allow_pickle=True), intrinsics=pinhole),
        "with a bomb": npz(depth=npy(np.zeros((10**4, 10**4), np.float32)), intrinsics=pinhole),
        "without a camera": npz(depth=depth),
        "without a depth": npz(intrinsics=pinhole),
        "with a camera of NaN": npz(depth=depth, intrinsics=npy(np.full((3, 3), np.nan))),
        "with a camera of text": npz(depth=depth, intrinsics=npy(np.full((3, 3), "a"))),
        "with a large mask": npz(depth=depth, intrinsics=pinhole, mask=npy(np.ones((9, 9), bool))),
        "with a cut header": npz(depth=depth[:20], intrinsics=pinhole),
        "cut": npz(depth=depth, intrinsics=pinhole)[:-30],
        "of garbage": GARBAGE,
    }.items():
        yield Case(f"npz {name}", "a.npz", content, MESH)
    yield Case("npz that is a pipe", "a.npz", FIFO, MESH, "not a file")


def cases() -> list[Case]:
    assert len(CLOUD) and len(CORNERS) and len(TRIANGLES)
    return [*any_kind(), *meshes(), *clouds(), *pictures()]
