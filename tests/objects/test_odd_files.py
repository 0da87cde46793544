"""Odd files that are good all the same: each is loaded as the same cube."""

from __future__ import annotations

import numpy as np
import pytest

from grasp.objects.loading import load_object
from tests.geometry.contents import (
    CLOUD,
    CORNERS,
    SIDES,
    TRIANGLES,
    ascii_stl,
    dae,
    glb,
    obj,
    off,
    pcd,
    ply,
    stl,
)

FLIPPED = TRIANGLES[:, ::-1]
HALF_FLIPPED = np.where(np.arange(12)[:, None] % 2, TRIANGLES, FLIPPED)
SOUP = CORNERS[TRIANGLES.reshape(-1)]
STRAY = np.vstack([[[9.0, 9, 9]], CORNERS, [[-9.0, 9, 9]]])
FLAT_FACES = np.vstack([TRIANGLES, [[0, 0, 1], [3, 3, 3]]])

# Each case: the file, and the arguments.
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


def test_concave_polygons_of_dae(tmp_path):
    """The polygons of an L are split into triangles that cover just its area."""
    pytest.importorskip("collada")
    corners = np.array([(0, 0), (2, 0), (2, 1), (1, 1), (1, 2), (0, 2)]) * 0.1
    corners = np.pad(np.roll(corners, -1, axis=0), ((0, 0), (0, 1)))  # a fan would leave the L
    content = dae(corners, np.arange(6)).replace(b"triangles", b"polylist")
    content = content.replace(b'polylist count="6"', b'polylist count="1"')
    path = tmp_path / "a.dae"
    path.write_bytes(content.replace(b"<p>", b"<vcount>6</vcount><p>"))
    assert np.isclose(load_object(path).area, 0.03, rtol=1e-6)


@pytest.mark.parametrize("case", ODD)
def test_odd_file_is_the_cube(case, tmp_path):
    files, arguments = ODD[case]
    ((name, content),) = files.items()
    path = tmp_path / name
    path.write_bytes(content)
    if path.suffix == ".dae":
        pytest.importorskip("collada")
    cube = load_object(path, **arguments)
    assert np.allclose(cube.bounds, [[0, 0, 0], [0.125, 0.125, 0.125]], atol=1e-8)
    assert np.allclose(cube.centre, 0.0625, atol=1e-8)
    triangles = cube.vertices[cube.faces]
    # By the divergence theorem, only a complete surface with outward faces has this volume.
    assert np.isclose(np.linalg.det(triangles).sum() / 6, 0.125**3)
    assert set(map(tuple, cube.vertices)) <= set(map(tuple, triangles.reshape(-1, 3)))
    assert len(np.unique(cube.vertices, axis=0)) == len(cube.vertices)


def test_organised_pcd_may_have_holes(tmp_path):
    points = CLOUD.copy()
    points[::10] = np.nan
    path = tmp_path / "a.pcd"
    path.write_bytes(pcd(points, height=10))
    assert len(load_object(path).vertices) == 90
