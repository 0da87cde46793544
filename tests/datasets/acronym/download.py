"""A small download of ACRONYM and ShapeNetSem: boxes whose grasps are known.

Each object is an open box made of quadrilaterals, in its own unit and far from the origin, as in
ShapeNetSem.
"""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from datasets.acronym.__main__ import app
from grasp.grippers.gripper import load_gripper
from pcdiff.console import run

SIDES = np.array([0.05, 0.06, 0.2])
CENTRE = np.array([3.0, -2.0, 1.0])
MOTION = "grasps/qualities/flex/object_motion_during_shaking_linear"
LABELS = "grasps/qualities/flex/object_in_gripper"

# name, scale
MUG, BOWL, OTHER_MUG = (
    "Mug_10f6e09036350e92b3f21f1137c3c347_0.00026824578309869",
    "Bowl_99cf659ae2fe4b87b72437fd995483b_0.009700376721042367",
    "Mug_5c48d471200d2bf16e8a121e6886e18d_1.5",
)
ALL = (BOWL, MUG, OTHER_MUG)  # sorted by name


def program(*arguments) -> int:
    with pytest.raises(SystemExit) as caught:
        run(app, [str(argument) for argument in arguments])
    return caught.value.code


def parts_of(name):
    category, model, scale = name.rsplit("_", 2)
    return category, model, float(scale)


def corners(scale):
    """The box's corners in the unit of its file, in the order that `FACES` numbers them."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return (CENTRE + signs * SIDES / 2) / scale


# The box has no top. The corners of a face run counter-clockwise seen from outside.
FACES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5)]


def obj_text(vertices):
    """A mesh file like ShapeNetSem's: groups, materials, texture, and a vertex without a face."""
    lines = ["# a comment", "mtllib missing.mtl", "vt 0 0", "vn 0 0 1", "v 1e6 1e6 1e6"]
    lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    for number, face in enumerate(FACES):
        lines += ["", f"g group{number}", f"usemtl material{number % 2}", "s off"]
        lines.append("f " + " ".join(f"{corner + 1}/1/1" for corner in face))
    return "\n".join([*lines, "l 1 2", ""])


def poses():
    """Grasps across x and across y that approach downwards, at several heights."""
    tip = load_gripper("panda").tool_center_point
    found = []
    for closing in ([1.0, 0, 0], [0, 1.0, 0]):
        for height in np.linspace(-0.05, 0.09, 10):
            pose = np.eye(4)
            approach = np.array([0, 0, -1.0])
            pose[:3, :3] = np.stack([closing, np.cross(approach, closing), approach], axis=1)
            pose[:3, 3] = CENTRE + height * np.array([0, 0, 1]) - pose[:3, :3] @ tip
            found.append(pose)
    return np.array(found)


def write_grasps(path, **changes):
    """A file like those of the release: text of variable length, and a rounded scale."""
    category, model, scale = parts_of(path.stem)
    content = {
        "grasps/transforms": poses(),
        LABELS: np.arange(20) % 3,
        MOTION: np.linspace(0, 1, 20),
        "gripper/type": "panda",
        "gripper/configuration": np.array([0.04]),
        "object/file": f"meshes/{category}/{model}.obj",
        "object/scale": round(scale, 10),
        "object/mass": 0.09,
        "object/density": 150.0,
        "object/volume": 0.0006,
        "object/friction": 1.0,
        "object/com": CENTRE,
        "object/inertia": np.diag([1.0, 2.0, 3.0]),
    }
    content[LABELS] = np.minimum(content[LABELS], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, value in {**content, **changes}.items():
            if value is not None:
                file[name] = value
    return path


def write_mesh(folder, name, layout=""):
    category, model, scale = parts_of(name)
    path = folder / layout.format(category=category) / f"{model}.obj"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(obj_text(corners(scale)))
    return path


def options(download, output):
    return ("--grasps", download[0], "--meshes", download[1], "--output", output)


def prepared(download, output, *more):
    assert program(*options(download, output), *more) == 0
    return output


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".h5"
    } | {path.name: arrays(path) for path in folder.rglob("*.h5")}


def arrays(path):
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()]).tolist()
        found.update({f"{name}@{key}": str(value) for key, value in item.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


def refused(capsys, *arguments):
    assert program(*arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    return printed.err
