"""What is not the object goes from scans and meshes; clean thin things stay whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from grasp.objects.loading import load_object
from grasp.objects.object import BASE_FRAME, CAMERA_FRAME, Object
from grasp.objects.pieces import EVERYTHING, Which
from grasp.objects.silhouettes import background_in_mask
from grasp.objects.views import intrinsics_matrix, look_at, render_view, write_view
from pcdiff.errors import InputError
from tests.objects.shapes import box

FOCAL = 240.0
K = intrinsics_matrix(FOCAL, FOCAL, 159.5, 119.5)


def surface(mesh: trimesh.Trimesh, count: int, seed: int = 0) -> np.ndarray:
    obj = Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    return obj.surface(count, np.random.default_rng(seed))[0]


def at(mesh: trimesh.Trimesh, *position: float) -> trimesh.Trimesh:
    return mesh.apply_translation(position)


def cylinder() -> trimesh.Trimesh:
    return trimesh.creation.cylinder(0.025, 0.12, sections=32)


def wineglass() -> trimesh.Trimesh:
    """A glass with a stem 6 mm thick and a wall 1.5 mm thick."""
    profile = [[0, 0], [35, 0], [35, 2], [3, 5], [3, 80], [30, 100], [36, 140], [34.5, 140]]
    profile += [[28.5, 101.5], [0, 83]]
    return trimesh.creation.revolve(np.array(profile) / 1000, sections=48)


def cable() -> trimesh.Trimesh:
    """A closed loop of a cable 2 mm thick."""
    return trimesh.creation.torus(0.08, 0.001)


def sieve() -> trimesh.Trimesh:
    """A grid of wires 1 mm thick, 1 cm apart, which overlap."""
    wires = []
    for offset in np.linspace(-0.05, 0.05, 11):
        wires.append(at(trimesh.creation.box((0.1, 0.001, 0.001)), 0, offset, 0))
        wires.append(at(trimesh.creation.box((0.001, 0.1, 0.001)), offset, 0, 0))
    return trimesh.util.concatenate(wires)


def chain() -> trimesh.Trimesh:
    """Links that pass through each other without contact."""
    links = []
    for number in range(4):
        link = trimesh.creation.torus(0.012, 0.002)
        link.apply_transform(trimesh.transformations.rotation_matrix(number * np.pi / 2, [1, 0, 0]))
        links.append(at(link, 0.019 * number, 0, 0))
    return trimesh.util.concatenate(links)


def glasses() -> trimesh.Trimesh:
    """Two lenses 1 mm from their rims, a bridge, and two temples."""
    parts = [at(trimesh.creation.torus(0.022, 0.001), x, 0, 0) for x in (-0.03, 0.03)]
    parts += [at(trimesh.creation.cylinder(0.02, 0.001), x, 0, 0) for x in (-0.03, 0.03)]
    parts += [trimesh.creation.box((0.016, 0.002, 0.002))]
    parts += [at(trimesh.creation.box((0.002, 0.002, 0.13)), x, 0, 0.065) for x in (-0.053, 0.053)]
    return trimesh.util.concatenate(parts)


THIN = {each.__name__: each for each in (wineglass, cable, sieve, chain, glasses)}


@pytest.mark.parametrize("name", THIN)
@pytest.mark.parametrize("count", [300, 3000])
def test_clean_clouds_of_thin_things_stay_whole(name, count, tmp_path):
    points = surface(THIN[name](), count).astype(np.float32)
    np.save(tmp_path / "a.npy", points)
    loaded = load_object(tmp_path / "a.npy")
    assert len(loaded.vertices) == count
    assert loaded.remarks == ()


@pytest.mark.parametrize("name", THIN)
def test_clean_meshes_of_thin_things_stay_whole(name, tmp_path):
    mesh = THIN[name]()
    mesh.export(tmp_path / "a.stl")
    loaded = load_object(tmp_path / "a.stl")
    assert np.isclose(loaded.area, mesh.area, rtol=1e-4)
    assert loaded.remarks == ()


@pytest.mark.parametrize("name", ["wineglass", "sieve", "glasses"])
def test_clean_views_of_thin_things_on_a_table_stay_whole(name, tmp_path):
    view = on_table(THIN[name]())[0]
    write_view(tmp_path / "a.npz", view)
    loaded = load_object(tmp_path / "a.npz")
    assert len(loaded.vertices) == len(view.points())
    assert loaded.remarks == ()


def on_table(mesh: trimesh.Trimesh, wider: int = 0):
    """A view of a mesh on a table with a mask that is too wide, and the pixels of the mesh."""
    from scipy.ndimage import binary_dilation

    low = float(np.asarray(mesh.vertices)[:, 2].min())
    table = at(trimesh.creation.box((1.0, 1.0, 0.02)), 0, 0, low - 0.01)
    both = trimesh.util.concatenate([mesh, table])
    seen = [Object.from_mesh(np.asarray(m.vertices), np.asarray(m.faces)) for m in (both, mesh)]
    camera = look_at(np.array([0.3, 0.25, 0.35]), np.zeros(3))
    whole, alone = (render_view(o, camera, intrinsics=K, height=240, width=320) for o in seen)
    mine = alone.mask & (np.abs(alone.depth - whole.depth) < 1e-5)
    mask = binary_dilation(mine, iterations=wider) if wider else mine
    return replace(whole, mask=mask), mine


@pytest.mark.parametrize("wider", [1, 4])
def test_rim_of_the_table_is_found_in_a_mask_that_is_too_wide(wider):
    view, mine = on_table(cylinder(), wider)
    found = background_in_mask(view.depth, view.mask, FOCAL)
    rim = view.mask & ~mine
    far = np.abs(view.depth - view.depth[mine].max()) > 0.02  # not where the cylinder stands
    assert np.count_nonzero(found & rim) > 0.7 * np.count_nonzero(rim)
    assert not (rim & far & (view.depth > view.depth[mine].max()) & ~found).any()
    # The lowest pixels of the cylinder are as near to the table as its own points are apart.
    assert np.count_nonzero(found & mine) <= 0.02 * np.count_nonzero(mine)


def test_exact_mask_loses_no_pixel():
    for make in (cylinder, wineglass, sieve, glasses):
        view, mine = on_table(make())
        assert not background_in_mask(view.depth, mine, FOCAL).any(), make.__name__


def test_detached_blob_of_a_mask_is_left_out(tmp_path):
    view, mine = on_table(cylinder())
    mask = mine.copy()
    mask[-9:-2, 2:9] = True
    write_view(tmp_path / "a.npz", replace(view, mask=mask))
    loaded = load_object(tmp_path / "a.npz")
    assert len(loaded.vertices) == mine.sum()
    assert "49 of" in loaded.remarks[0]
    assert loaded.frame == CAMERA_FRAME


def clean_and_dirty(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    clean = surface(cylinder(), 1000) + np.array([0, 0, 0.6])
    if kind == "no returns":
        extra = np.zeros((25, 3))
    elif kind == "flying pixels":
        extra = clean[:10] * rng.uniform(1.4, 1.6, (10, 1))
    elif kind == "ball":
        extra = at(trimesh.creation.icosphere(2, 0.003), 0.15, 0, 0.6).vertices
    return clean, np.vstack([clean, extra])


@pytest.mark.parametrize("kind", ["no returns", "flying pixels", "ball"])
def test_strays_and_floaters_are_left_out(kind, tmp_path):
    clean, dirty = clean_and_dirty(kind)
    np.save(tmp_path / "a.npy", dirty)
    loaded = load_object(tmp_path / "a.npy")
    assert np.array_equal(loaded.vertices, clean)
    assert "left out" in loaded.remarks[0]
    whole = load_object(tmp_path / "a.npy", which=EVERYTHING)
    assert len(whole.vertices) == len(np.unique(dirty, axis=0)) and whole.remarks == ()


def test_normals_follow_the_points_that_stay(tmp_path):
    clean, dirty = clean_and_dirty("flying pixels")
    normals = np.random.default_rng(0).normal(size=dirty.shape)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.save(tmp_path / "a.npy", np.hstack([dirty, normals])[::-1])
    loaded = load_object(tmp_path / "a.npy")
    assert np.allclose(loaded.normals, normals[: len(clean)][::-1])


SCENE = (at(trimesh.creation.box((0.05, 0.05, 0.1)), -0.15, 0, 0.05), at(cylinder(), 0.1, 0, 0.06))


def test_scene_lists_its_objects_and_gives_each(tmp_path):
    points = [surface(mesh, count) for mesh, count in zip(SCENE, (1500, 1000), strict=True)]
    np.save(tmp_path / "a.npy", np.vstack(points))
    sizes = r"1 \(0.05 x 0.05 x 0.1 m at \(-0.15, .*, 0.05\)\), 2 \(0.05 x 0.05 x 0.12 m"
    with pytest.raises(InputError, match=sizes) as caught:
        load_object(tmp_path / "a.npy")
    assert caught.value.parameter == "piece"
    for number, expected in enumerate(points, 1):
        loaded = load_object(tmp_path / "a.npy", which=Which(piece=number))
        assert np.array_equal(loaded.vertices, expected)
        other = 3 - number  # a piece that is left out has the number that would choose it
        assert f"1 separate piece: {other} (0.05 x 0.05 x 0.1" in loaded.remarks[0]
        assert loaded.remarks[1:] == (
            f"{tmp_path / 'a.npy'}: grasps do not avoid the objects that were left out",
        )
    with pytest.raises(InputError, match="from 1 to 2, or 0 for everything, got 3"):
        load_object(tmp_path / "a.npy", which=Which(piece=3))


def test_table_is_refused_and_removed(tmp_path):
    top = np.random.default_rng(1).uniform([-0.4, -0.3, 0], [0.4, 0.3, 0], (6000, 3))
    both = np.vstack([top, *(surface(mesh, 800) for mesh in SCENE)])
    np.save(tmp_path / "a.npy", both)
    with pytest.raises(InputError, match=r"table of 0.8 x 0.6 m with 2 objects") as caught:
        load_object(tmp_path / "a.npy")
    assert caught.value.parameter == "without_table"
    loaded = load_object(tmp_path / "a.npy", which=Which(piece=1, without_table=True))
    assert 600 < len(loaded.vertices) <= 800
    assert "of the table, which grasps avoid only if the scene contains it" in loaded.remarks[0]
    assert np.ptp(loaded.vertices[:, 2]) > 0.09
    with pytest.raises(InputError, match="has no table"):
        np.save(tmp_path / "b.npy", surface(trimesh.creation.icosphere(4, 0.05), 3000))
        load_object(tmp_path / "b.npy", which=Which(without_table=True))


def test_floater_of_a_mesh_is_left_out(tmp_path):
    floater = at(trimesh.creation.icosphere(1, 0.0015), 0.15, 0, 0)
    trimesh.util.concatenate([cylinder(), floater]).export(tmp_path / "a.stl")
    loaded = load_object(tmp_path / "a.stl")
    assert np.isclose(loaded.area, cylinder().area, rtol=1e-4)
    assert f"left out {len(floater.faces)} of" in loaded.remarks[0]
    with pytest.raises(InputError, match=r"would be 0\.003 m long"):
        load_object(tmp_path / "a.stl", which=Which(piece=2))


def obj_file(path, **meshes: trimesh.Trimesh) -> None:
    lines, count = [], 1
    for name, mesh in meshes.items():
        lines.append(f"o {name}")
        lines += ["v {} {} {}".format(*vertex) for vertex in mesh.vertices.tolist()]
        lines += ["f {} {} {}".format(*(np.array(f) + count)) for f in mesh.faces.tolist()]
        count += len(mesh.vertices)
    path.write_text("\n".join(lines) + "\n")


def test_named_objects_are_asked_for(tmp_path):
    table = at(trimesh.creation.box((0.8, 0.6, 0.02)), 0, 0, -0.01)
    obj_file(tmp_path / "a.obj", table=table, jar=SCENE[0], can=SCENE[1])
    with pytest.raises(InputError, match=r"table \(0.8 x 0.6 x 0.02 m\), .*jar.*can") as caught:
        load_object(tmp_path / "a.obj")
    assert caught.value.parameter == "names"
    jar = load_object(tmp_path / "a.obj", which=Which(names=("jar",)))
    assert np.allclose(jar.extent, [0.05, 0.05, 0.1])
    with pytest.raises(InputError, match="no object named 'lid', its named objects are: table, ja"):
        load_object(tmp_path / "a.obj", which=Which(names=("lid",)))
    trimesh.Scene({"jar": SCENE[0], "can": SCENE[1]}).export(tmp_path / "a.glb")
    with pytest.raises(InputError, match="2 separate objects"):
        load_object(tmp_path / "a.glb")
    can = load_object(tmp_path / "a.glb", which=Which(names=("can",)))
    assert np.allclose(can.extent, SCENE[1].extents, atol=1e-6)


def test_loose_balls_of_a_named_scan_are_no_other_objects(tmp_path):
    """Each piece of this file has the same name, so no name could choose one."""
    jar, ball = SCENE[0], at(trimesh.creation.icosphere(2, 0.004), 0.15, 0, 0)
    obj_file(tmp_path / "a.obj", knob=trimesh.util.concatenate([jar, ball]))
    loaded = load_object(tmp_path / "a.obj")
    assert np.allclose(loaded.extent, jar.extents, atol=1e-6)
    assert "left out 320 of 332 faces" in loaded.remarks[0]


@pytest.mark.parametrize("grouped", ["o", "g"])
def test_named_parts_of_one_thing_are_one_object(grouped, tmp_path):
    mug = cylinder()
    handle = at(trimesh.creation.torus(0.02, 0.004), 0.03, 0, 0)
    foot = at(trimesh.creation.cylinder(0.03, 0.01), 0, 0, -0.065)  # it only touches
    obj_file(tmp_path / "a.obj", mug=mug, handle=handle, foot=foot)
    text = (tmp_path / "a.obj").read_text()
    (tmp_path / "a.obj").write_text(text.replace("o ", f"{grouped} "))
    loaded = load_object(tmp_path / "a.obj")
    assert np.isclose(loaded.area, mug.area + handle.area + foot.area, rtol=1e-4)
    assert loaded.remarks == ()


def test_camera_pose_moves_the_scan_to_the_base(tmp_path):
    seen = surface(cylinder(), 3000) + np.array([0, 0, 0.6])
    seen = seen[seen[:, 2] < 0.6]
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [-1, 0, 0], [0, 0, -1]]
    T[:3, 3] = [0.5, 0.1, 0.9]
    np.save(tmp_path / "a.npy", seen * 1000)
    (tmp_path / "pose.txt").write_text(" ".join(map(str, T.reshape(-1))))
    loaded = load_object(tmp_path / "a.npy", unit="mm", camera_pose=tmp_path / "pose.txt")
    assert loaded.frame == BASE_FRAME
    assert np.allclose(loaded.vertices, seen @ T[:3, :3].T + T[:3, 3])
    to_camera = T[:3, 3] - loaded.vertices
    assert (np.einsum("ni,ni->n", loaded.normals, to_camera) > 0).all()
    (tmp_path / "pose.txt").write_text("1 0 0 0 1 0 0 0 1")
    with pytest.raises(InputError, match="16 numbers of a 4 x 4 matrix"):
        load_object(tmp_path / "a.npy", camera_pose=tmp_path / "pose.txt")
    box().mesh().export(tmp_path / "a.stl")
    with pytest.raises(InputError, match="is a mesh, so it takes no camera pose"):
        load_object(tmp_path / "a.stl", camera_pose=T)


def test_pcd_header_states_the_viewpoint(tmp_path):
    points = surface(cylinder(), 2000)
    points = points[points[:, 0] > 0]
    header = (
        "FIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nWIDTH {0}\nHEIGHT 1\nVIEWPOINT {1} 0 0 1 0 0 0\n"
    )
    rows = "\n".join(" ".join(map(repr, row)) for row in points.tolist())
    text = header.format(len(points), "-0.5") + f"POINTS {len(points)}\nDATA ascii\n{rows}\n"
    (tmp_path / "a.pcd").write_text(text)
    loaded = load_object(tmp_path / "a.pcd")
    seen = np.einsum("ni,ni->n", loaded.normals, np.array([-0.5, 0, 0]) - loaded.vertices)
    assert (seen > 0).all()
