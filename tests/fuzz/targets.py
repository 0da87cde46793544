"""The readers that are fuzzed: each with sound contents, and a function that reads a file."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml
from hypothesis import strategies as st

from grasp.formats import read_grasps, write_grasps
from grasp.grippers.gripper import load_gripper
from grasp.objects.depth import read_depth_image
from grasp.objects.loading import load_object
from grasp.scenes.loading import load_scene
from pcdiff.clouds.canonical import categories, read_clouds
from pcdiff.errors import InputError
from pcdiff.geometry.reading import read_geometry
from tests.fuzz.mutations import changed, damaged, texts
from tests.geometry import contents
from tests.hostile import containers, documents, geometry

CAMERA = {"fx": 100.0, "fy": 100.0, "cx": 2.0, "cy": 2.0, "depth_unit": "mm"}
SCENE = {
    "table": {"position": [0, 0, 0]},
    "boxes": [{"size": [0.1, 0.1, 0.1], "position": [0, 0, 1], "quaternion_xyzw": [0, 0, 0, 1]}],
    "object": {"pose": documents.POSE},
}


@dataclass(frozen=True)
class Target:
    """A reader and the inputs for it.

    Attributes:
        ending: Ending of the file's name.
        inputs: Strategy of the file's content.
        read: Function that reads the file.
        beside: Further files in the folder, by name.
    """

    ending: str
    inputs: st.SearchStrategy[bytes]
    read: Callable[[Path], object]
    beside: dict[str, bytes]


def grasps(path: Path) -> None:
    """Read grasps, and write what was read in every format."""
    read = read_grasps(path, frame="gripper" if path.suffix == ".yaml" else None)
    for ending in ("json", "h5", "yaml"):
        write_grasps(path.with_name(f"out.{ending}"), read)


def camera(path: Path) -> None:
    """Read the depth image beside the file of its camera."""
    read_depth_image(path.with_suffix(".png"))


def clouds(path: Path) -> None:
    for category, splits in categories(path).items():
        for split in splits:
            read_clouds(path, category, split)


def hdf5_of(datasets: dict[str, object]) -> bytes:
    def fill(file: h5py.File) -> None:
        for name, value in datasets.items():
            file[name] = value

    return containers.hdf5(fill)


@st.composite
def odd_hdf5(draw: st.DrawFn, datasets: dict[str, object]) -> bytes:
    """A file whose datasets have other shapes, types or names."""
    kept = {name: value for name, value in datasets.items() if draw(st.integers(0, 5))}
    for name in list(kept):
        if draw(st.integers(0, 2)):
            continue
        shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
        kind = draw(st.sampled_from(["f2", "f4", ">f8", "i1", "u8", "c8", "S3", "?"]))
        kept[name] = np.full(shape, draw(st.integers(0, 3)), kind)
    return hdf5_of(kept)


ACRONYM = {
    "grasps/transforms": containers.POSES,
    "grasps/qualities/flex/object_in_gripper": np.array([0, 1, 1, 0, 1]),
    "object/file": "mug.obj",
    "object/scale": 1.0,
    "object/com": np.zeros(3),
    "gripper/type": "panda",
}
CHAIRS = {f"{containers.CHAIR}/{split}": containers.CLOUDS for split in ("train", "val")}


def yaml_of(document: object) -> bytes:
    return yaml.dump(document, allow_unicode=False).encode()


def odd_yaml(document: object) -> st.SearchStrategy[bytes]:
    """YAML of a changed document; PyYAML cannot write surrogates."""
    simple = changed(document).map(lambda value: json.dumps(value).encode())
    return st.one_of(simple, damaged([yaml_of(document)]))


PINHOLE = contents.npy(np.array([[100.0, 0, 2], [0, 100, 2], [0, 0, 1]]))
NPZ = geometry.npz(depth=contents.npy(np.ones((4, 4))), intrinsics=PINHOLE)
DEPTH = geometry.png(4, 4, zlib.compress((b"\0" + b"\1\0" * 4) * 4))
MESHES = {
    "stl": [contents.stl(), contents.ascii_stl()],
    "obj": [contents.obj(), contents.obj(start=-8)],
    "ply": [
        contents.ply(),
        contents.ply(encoding="binary_little_endian"),
        contents.ply(encoding="binary_big_endian", faces=[*contents.SIDES, (0, 1, 2)]),
    ],
    "off": [contents.off(), contents.off(header="OFF{} {} 0")],
    "glb": [contents.glb()],
}
FEW = contents.CLOUD[:30]
CLOUDS = {
    "pcd": [
        contents.pcd(FEW),
        contents.pcd(FEW, "binary"),
        contents.pcd(FEW, "binary_compressed", body=contents.compressed(FEW)),
    ],
    "xyz": [contents.xyz(FEW), b"x y z\n" + contents.xyz(FEW)],
    "pts": [b"30\n" + contents.xyz(FEW)],
    "csv": [b"x,y,z\n" + contents.xyz(FEW).replace(b" ", b",")],
    "npy": [contents.npy(FEW), contents.npy_claiming("(100, 3)")],
}
TARGETS: dict[str, Target] = {
    **{name: Target(name, damaged(seeds), load_object, {}) for name, seeds in MESHES.items()},
    **{name: Target(name, damaged(seeds), read_geometry, {}) for name, seeds in CLOUDS.items()},
    "npz": Target("npz", damaged([NPZ]), read_depth_image, {}),
    "hdf5 clouds": Target(
        "hdf5", st.one_of(odd_hdf5(CHAIRS), damaged([hdf5_of(CHAIRS)])), clouds, {}
    ),
    "hdf5 grasps": Target(
        "h5", st.one_of(odd_hdf5(ACRONYM), damaged([hdf5_of(ACRONYM)])), grasps, {}
    ),
    "graspgen json": Target("json", texts(documents.GRASPGEN), grasps, {}),
    "graspgen yaml": Target("yaml", odd_yaml(documents.GRASPGEN), grasps, {}),
    "our json": Target("json", texts(documents.OURS), grasps, {}),
    "isaac": Target("yaml", odd_yaml(yaml.safe_load(documents.ISAAC)), grasps, {}),
    "scene": Target("yaml", odd_yaml(SCENE), load_scene, {}),
    "gripper": Target("toml", damaged([documents.PANDA.encode()]), load_gripper, {}),
    "depth png": Target(
        "png", damaged([DEPTH]), read_depth_image, {"a.json": json.dumps(CAMERA).encode()}
    ),
    "camera": Target("json", texts(CAMERA), camera, {"a.png": DEPTH}),
}


def attempt(target: Target, path: Path) -> None:
    """Read a file; whatever is wrong with it must be said in one sentence."""
    try:
        target.read(path)
    except InputError as error:
        assert "\n" not in str(error) and 0 < len(str(error)) < 3000
