"""Convex parts and rigid bodies against closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from grasp.objects.object import Object
from grasp.objects.solids import moments
from grasp.physics import convex_parts, decomposition
from grasp.physics.body import rigid_body
from grasp.physics.fidelity import shape_error
from pcdiff.errors import InputError
from tests.physics.conftest import box


def _angle() -> trimesh.Trimesh:
    """An L of two boxes of 2 x 2 x 6 and 2 x 4 x 2 cm, as one closed surface."""
    outline = np.array([[0, 0], [0.06, 0], [0.06, 0.02], [0.02, 0.02], [0.02, 0.06], [0, 0.06]])
    bottom, top = (np.column_stack([outline, np.full(6, z)]) for z in (0.0, 0.02))
    caps = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 5]])
    sides = [[i, (i + 1) % 6, (i + 1) % 6 + 6] for i in range(6)]
    sides += [[i, (i + 1) % 6 + 6, i + 6] for i in range(6)]
    return trimesh.Trimesh(
        np.concatenate([bottom, top]), np.concatenate([caps[:, ::-1], caps + 6, sides])
    )


def _object(mesh: trimesh.Trimesh, **options: object) -> Object:
    return Object.from_mesh(np.array(mesh.vertices), np.array(mesh.faces), **options)


def test_convex_parts_cover_the_object_and_no_more(tmp_path: Path) -> None:
    angle = _angle()
    assert angle.is_watertight
    parts = convex_parts(_object(angle), tmp_path)
    solids = [trimesh.Trimesh(*part).convex_hull for part in parts]
    assert len(solids) <= 4
    error = shape_error(_object(angle), parts)
    assert error.missed == 0
    assert error.inflated < 0.01
    assert error.filled < 1e-3 * error.hull
    points, _ = trimesh.sample.sample_surface(angle, 200, seed=0)
    # A point's largest height above the face planes is at most its distance from the solid.
    outside = [
        np.einsum("pfi,fi->pf", points[:, None] - solid.triangles_center, solid.face_normals).max(1)
        for solid in solids
    ]
    assert np.min(outside, axis=0).max() < 1e-3


def test_convex_parts_are_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = _object(_angle())
    first = convex_parts(obj, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(decomposition, "convex_cover", None)  # calling it now would fail
    again = convex_parts(obj, tmp_path)
    assert len(again) == len(first)
    for (vertices, faces), (same_vertices, same_faces) in zip(first, again, strict=True):
        assert (vertices == same_vertices).all()
        assert (faces == same_faces).all()
    # An object of another size is another object.
    with pytest.raises(TypeError):
        convex_parts(_object(_angle(), scale=2.0), tmp_path)


@pytest.mark.parametrize("content", ["not finite", "one array"])
def test_a_cache_file_with_wrong_content_is_refused(tmp_path: Path, content: str) -> None:
    obj = _object(_angle())
    convex_parts(obj, tmp_path)
    (path,) = tmp_path.iterdir()
    with np.load(path) as file:
        arrays = dict(file)
    with path.open("wb") as handle:
        if content == "not finite":
            np.savez(handle, **{**arrays, "vertices": np.full_like(arrays["vertices"], np.nan)})
        else:
            np.save(handle, arrays["vertices"])
    with pytest.raises(InputError, match=r"convex parts in .*npz are damaged: remove that file"):
        convex_parts(obj, tmp_path)


def test_a_damaged_cache_file_is_refused(tmp_path: Path) -> None:
    obj = _object(_angle())
    convex_parts(obj, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"convex parts in .*npz are damaged: remove that file"):
        convex_parts(obj, tmp_path)


def test_the_cache_is_in_the_users_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    convex_parts(_object(_angle()))
    assert [path.suffix for path in (tmp_path / "pcdiff-grasp" / "parts").iterdir()] == [".npz"]


@pytest.mark.parametrize("trouble", ["a file in place of the folder", "no home"])
def test_without_a_cache_the_parts_are_computed_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A folder that cannot be written costs a warning, not the result."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if trouble == "no home":

        def nowhere() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", nowhere)
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    obj = _object(_angle())
    expected = convex_parts(obj, tmp_path / "cache")
    for _ in range(2):
        with pytest.warns(UserWarning, match="the convex parts are not cached: "):
            parts = convex_parts(obj)
        for part, other in zip(parts, expected, strict=True):
            assert all((ours == theirs).all() for ours, theirs in zip(part, other, strict=True))


def test_exact_convex_parts_are_used_unchanged() -> None:
    obj = box(0.1, 0.1, 0.1)
    assert obj.parts is not None
    assert convex_parts(obj, "/nowhere") == list(obj.parts)


def test_a_box_as_a_body() -> None:
    a, b, c = 0.02, 0.03, 0.05
    solid = trimesh.creation.box((a, b, c), trimesh.transformations.translation_matrix([1, 2, 3]))
    obj = _object(solid)
    body = rigid_body(obj, [(obj.vertices, obj.faces)], None, 700.0)
    assert body.mass == pytest.approx(700 * a * b * c)
    assert body.centre == pytest.approx([1, 2, 3])
    moments = body.mass / 12 * np.array([b * b + c * c, a * a + c * c, a * a + b * b])
    assert body.inertia == pytest.approx(np.diag(moments), abs=1e-12)
    heavy = rigid_body(obj, [(obj.vertices, obj.faces)], 2.0, 700.0)
    assert heavy.mass == 2.0
    assert heavy.inertia == pytest.approx(body.inertia * 2.0 / body.mass)


def test_moments_of_a_turned_box_far_away() -> None:
    sides, density = np.array([0.02, 0.03, 0.05]), 1.0
    turn = Rotation.from_euler("xyz", [0.4, 1.0, -0.3]).as_matrix()
    solid = trimesh.creation.box(sides)
    triangles = solid.triangles @ turn.T + [10.0, -20.0, 30.0]
    volume, centre, inertia = moments(triangles)
    mass = density * np.prod(sides)
    squares = mass / 12 * sides**2
    expected = turn @ np.diag(squares.sum() - squares) @ turn.T
    assert volume == pytest.approx(np.prod(sides))
    assert centre == pytest.approx([10, -20, 30])
    assert inertia == pytest.approx(expected, rel=1e-8, abs=1e-8 * mass)


def test_an_open_mesh_has_the_mass_of_its_convex_parts() -> None:
    closed = _angle()
    opened = trimesh.Trimesh(closed.vertices, closed.faces[1:])
    parts = [
        trimesh.creation.box(bounds=bounds)
        for bounds in ([[0, 0, 0], [0.02, 0.06, 0.02]], [[0.02, 0, 0], [0.06, 0.02, 0.02]])
    ]
    pairs = [(np.array(part.vertices), np.array(part.faces)) for part in parts]
    whole = rigid_body(_object(closed), pairs, None, 500.0)
    from_parts = rigid_body(_object(opened), pairs, None, 500.0)
    assert not opened.is_watertight
    assert from_parts.mass == pytest.approx(whole.mass)
    assert from_parts.centre == pytest.approx(whole.centre)
    assert from_parts.inertia == pytest.approx(whole.inertia, abs=1e-12)


def test_a_mesh_whose_sheets_share_an_edge_has_its_own_mass() -> None:
    """Two cubes that touch along an edge are a closed surface, but not a manifold."""
    cube = trimesh.creation.box((0.02, 0.02, 0.02))
    pair = trimesh.util.concatenate([cube, cube.copy().apply_translation([0.02, 0.02, 0.0])])
    obj = _object(pair)
    assert not obj.mesh().is_watertight
    assert rigid_body(obj, [], None, 1000.0).mass == pytest.approx(2 * 0.008)


def test_a_closed_mesh_has_its_own_mass_even_if_its_convex_parts_overlap() -> None:
    solid = _object(trimesh.creation.box(bounds=[[0, 0, 0], [0.06, 0.02, 0.02]]))
    parts = [trimesh.creation.box(bounds=[[x, 0, 0], [x + 0.04, 0.02, 0.02]]) for x in (0.0, 0.02)]
    pairs = [(np.array(part.vertices), np.array(part.faces)) for part in parts]
    body = rigid_body(solid, pairs, None, 500.0)
    assert body.mass == pytest.approx(500 * 0.06 * 0.02 * 0.02)
    assert body.inertia[1, 1] == pytest.approx(body.mass / 12 * (0.06**2 + 0.02**2))
