"""Single views, against closed forms and a slow intersection of every ray and triangle."""

from __future__ import annotations

from dataclasses import replace
from math import radians

import numpy as np
import pytest
import trimesh

from grasp.objects.depth import back_project
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from grasp.objects.views import (
    KINECT,
    KINECT_INTRINSICS,
    DepthNoise,
    View,
    look_at,
    poses_on_sphere,
    read_view,
    render_view,
    write_view,
)
from pcdiff.errors import InputError

SKEWED = np.array([[90.0, 3.0, 30.2], [0.0, 80.0, 25.7], [0.0, 0.0, 1.0]])
SMALL = {
    "intrinsics": np.array([[90.0, 0, 31.5], [0, 90.0, 23.5], [0, 0, 1]]),
    "height": 48,
    "width": 64,
}
QUIET = DepthNoise(
    lateral=0.0, lateral_slope=0.0, axial=0.0, axial_growth=0.0, axial_slope=0.0, disparity_step=0.0
)
"""A camera whose measurements are exact, though it may miss some pixels."""


def ball(radius=0.1, subdivisions=5) -> Object:
    mesh = trimesh.creation.icosphere(subdivisions, radius)
    return Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), name="ball")


def cube(side=0.2) -> Object:
    mesh = trimesh.creation.box([side] * 3)
    return Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), name="cube")


def bowl() -> Object:
    profile = [[0, 0], [0.05, 0], [0.08, 0.06], [0.077, 0.06], [0.047, 0.003], [0, 0.003]]
    mesh = trimesh.creation.revolve(profile, sections=24)
    return Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), name="bowl")


def plate(normal: np.ndarray, offset: float) -> Object:
    """A large square in the plane normal · p = offset, in the camera frame."""
    normal = normal / np.linalg.norm(normal)
    across = np.cross(normal, [0.3, 0.5, 0.1])
    across /= np.linalg.norm(across)
    other = np.cross(normal, across)
    corners = np.array([across + other, across - other, -across - other, other - across])
    return Object.from_mesh(20 * corners + offset * normal, np.array([[0, 1, 2], [0, 2, 3]]))


def slow_depth(obj: Object, pose: np.ndarray, intrinsics: np.ndarray, height: int, width: int):
    """Every ray against every triangle: solve a + s (b − a) + t (c − a) = z r."""
    corners = (obj.vertices @ pose[:3, :3].T + pose[:3, 3])[obj.faces]
    depth = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            ray = np.linalg.inv(intrinsics) @ [column, row, 1]
            columns = [corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]]
            system = np.stack([*columns, np.broadcast_to(-ray, columns[0].shape)], axis=2)
            regular = np.abs(np.linalg.det(system)) > 1e-18
            s, t, z = np.linalg.solve(system[regular], -corners[regular, 0, :, None])[..., 0].T
            hits = z[(s >= 0) & (t >= 0) & (s + t <= 1) & (z > 0)]
            depth[row, column] = hits.min(initial=np.inf)
    return np.where(np.isfinite(depth), depth, 0)


# ------------------------------------------------------------------------------------- the camera


def test_projection_undoes_back_projection(rng):
    depth = rng.uniform(0.3, 3, (20, 30))
    points = back_project(depth, SKEWED)
    assert np.array_equal(points[..., 2], depth)
    # The projection is (u, v, 1) = K p / z.
    pixels = (points / depth[..., None]) @ SKEWED.T
    column, row = np.meshgrid(np.arange(30), np.arange(20))
    assert np.allclose(pixels[..., :2], np.stack([column, row], axis=-1), atol=1e-12)


def test_point_of_a_pixel_by_hand():
    points = back_project(np.full((480, 640), 0.5), KINECT_INTRINSICS)
    assert np.allclose(points[479, 0], [-319.5 / 585 * 0.5, 239.5 / 585 * 0.5, 0.5])


def test_camera_looks_at_its_target_and_stands_upright(rng):
    for _ in range(20):
        position, target = rng.normal(size=(2, 3))
        pose = look_at(position, target)
        rotation = pose[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3)) and np.linalg.det(rotation) > 0
        assert np.allclose(rotation @ position + pose[:3, 3], 0, atol=1e-12)
        distance = np.linalg.norm(target - position)
        assert np.allclose(rotation @ target + pose[:3, 3], [0, 0, distance], atol=1e-12)
        # Higher points appear higher in the picture, where y is down.
        assert rotation[1, 2] < 0 and abs(rotation[0, 2]) < 1e-12
    above = look_at(np.array([0.0, 0.0, 2.0]), np.zeros(3))
    assert np.allclose(above[:3, :3] @ [1, 0, 0], [0, -1, 0])
    with pytest.raises(InputError, match="must not look at its own position"):
        look_at(np.ones(3), np.ones(3))


def test_poses_are_uniform_on_the_sphere(rng):
    centre = np.array([0.3, -0.1, 0.2])
    poses = poses_on_sphere(2000, centre, 0.7, rng)
    positions = -np.einsum("nji,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
    directions = (positions - centre) / 0.7
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    assert np.abs(directions.mean(axis=0)).max() < 5 / np.sqrt(3 * 2000)
    # Archimedes: each coordinate of a uniform direction is uniform.
    assert np.abs((directions**2).mean(axis=0) - 1 / 3).max() < 5 * np.sqrt(4 / 45 / 2000)


# ------------------------------------------------------------------------------------ exact depth


@pytest.mark.parametrize("normal", [[0, 0, -1.0], [0.3, 0.2, -1.0], [1.0, -1.0, -0.9]])
def test_depth_of_a_plane(normal):
    normal = np.array(normal) / np.linalg.norm(normal)
    view = render_view(plate(normal, 0.5 * normal[2]), np.eye(4), **SMALL)
    column, row = np.meshgrid(np.arange(64), np.arange(48))
    rays = np.stack([(column - 31.5) / 90, (row - 23.5) / 90, np.ones((48, 64))], axis=-1)
    expected = 0.5 * normal[2] / (rays @ normal)
    within = (expected > 0) & (expected < 5)
    assert within.mean() > 0.5
    assert np.allclose(view.depth[within], expected[within], rtol=1e-9)


def test_depth_of_a_sphere():
    pose = look_at(np.array([0.4, 0.3, 0.2]), np.zeros(3))
    view = render_view(ball(), pose, **SMALL)
    rays = back_project(np.ones((48, 64)), view.intrinsics)
    centre = pose[:3, 3]
    # The nearer solution of |z r − c| = R.
    rr, rc = (rays**2).sum(axis=-1), rays @ centre
    root = rc**2 - rr * (centre @ centre - 0.1**2)
    expected = np.where(root > 0, (rc - np.sqrt(np.maximum(root, 0))) / rr, 0)
    # The mesh is inside the sphere, by at most the sagitta of its edges.
    edge = 0.1 * 1.2 / 2**5
    sagitta = edge**2 / (2 * 0.1)
    sure = root > 2 * rr * 0.1 * sagitta * 4
    error = view.depth[sure] - expected[sure]
    cosine = np.sqrt(root[sure] / rr[sure]) / 0.1
    assert sure.sum() > 500
    assert (error > -1e-9).all() and (error * cosine < 2 * sagitta).all()
    assert not view.mask[root < 0].any()


@pytest.mark.parametrize("shape", [bowl, cube])
def test_depth_equals_that_of_the_slow_intersection(shape, rng):
    obj = shape()
    pose = poses_on_sphere(3, obj.centre, 0.4, rng)[2]
    intrinsics = np.array([[25.0, 0, 11.6], [0, 25.0, 8.3], [0, 0, 1]])
    view = render_view(obj, pose, intrinsics=intrinsics, height=18, width=24)
    expected = slow_depth(obj, pose, intrinsics, 18, 24)
    assert np.array_equal(view.mask, expected > 0)
    assert np.allclose(view.depth, expected, atol=1e-9)


def test_ray_through_an_edge_meets_the_front():
    # Seen from straight ahead, the middle column and row meet the edges of the diagonals.
    view = render_view(
        cube(),
        look_at(np.array([0.0, 0.0, 1.0]), np.zeros(3)),
        intrinsics=np.array([[100.0, 0, 16], [0, 100.0, 16], [0, 0, 1]]),
        height=33,
        width=33,
    )
    assert view.mask[6:27, 6:27].all()
    assert np.allclose(view.depth[view.mask], 0.9, atol=1e-12)


# ----------------------------------------------------------------------------------- visible side


def test_only_the_front_of_a_ball_is_seen(rng):
    obj = ball()
    for pose in poses_on_sphere(3, obj.centre, 0.5, rng):
        view = render_view(obj, pose, **SMALL)
        position = -pose[:3, :3].T @ pose[:3, 3]
        points = view.in_object().vertices
        assert np.abs(np.linalg.norm(points, axis=1) - 0.1).max() < 2e-4
        # The visible cap of a sphere: p · camera >= R².
        assert (points @ position).min() > 0.1**2 - 2e-4
        assert (points @ position).max() == pytest.approx(0.1 * 0.5, rel=0.01)


def test_clouds_in_both_frames_are_one_cloud_that_faces_the_camera(rng):
    obj = bowl()
    pose = poses_on_sphere(1, obj.centre, 0.4, rng)[0]
    intrinsics = np.diag([4, 4, 1]) @ SKEWED
    view = render_view(obj, pose, intrinsics=intrinsics, height=200, width=260)
    in_camera, in_object = view.in_camera(), view.in_object()
    there = in_object.vertices @ pose[:3, :3].T + pose[:3, 3]
    assert np.allclose(there, in_camera.vertices, atol=1e-12)
    assert np.allclose(in_object.normals @ pose[:3, :3].T, in_camera.normals, atol=1e-9)
    assert (np.einsum("ni,ni->n", in_camera.normals, in_camera.vertices) <= 0).all()
    distances = trimesh.proximity.closest_point_naive(obj.mesh(), in_object.vertices[::40])[1]
    assert distances.max() < 1e-9
    with pytest.raises(InputError, match="is a point cloud"):
        render_view(in_camera, pose)
    with pytest.raises(InputError, match="intrinsics of a camera must be finite"):
        render_view(obj, pose, intrinsics=4 * SKEWED)


def test_view_past_the_object_is_empty():
    view = render_view(cube(), look_at(np.array([0, -1.0, 0]), np.array([0, -2.0, 0])), **SMALL)
    assert not view.mask.any() and not view.depth.any()
    with pytest.raises(InputError, match="0 different points"):
        view.in_camera()


def test_view_comes_back_from_its_file(rng, tmp_path):
    view = render_view(
        ball(), poses_on_sphere(1, np.zeros(3), 0.5, rng)[0], **SMALL, noise=KINECT, rng=rng
    )
    path = tmp_path / "view.npz"
    write_view(path, view)
    again = read_view(path)
    for name in ("depth", "mask", "intrinsics", "T_camera_object"):
        assert np.array_equal(getattr(again, name), getattr(view, name))
    loaded, cloud = load_object(path), view.in_camera()
    assert np.array_equal(loaded.vertices, cloud.vertices)
    assert np.array_equal(loaded.normals, cloud.normals)
    assert loaded.sha256 == cloud.sha256


def test_files_that_are_not_a_view(tmp_path):
    path = tmp_path / "a.npz"
    view = View(np.ones((2, 2)), np.ones((2, 2), bool), SKEWED, np.eye(4))
    with pytest.raises(InputError, match=r"ends in \.npz"):
        write_view(tmp_path / "a.npy", view)
    np.savez(path, depth=np.ones((4, 4)), intrinsics=SKEWED)
    with pytest.raises(InputError, match="no array named mask"):
        read_view(path)
    np.savez(path, depth=np.ones((4, 4)), intrinsics=SKEWED, mask=np.ones((4, 4), bool))
    with pytest.raises(InputError, match="no array named T_camera_object"):
        read_view(path)
    arrays = {"depth": np.ones((4, 4)), "intrinsics": SKEWED, "mask": np.ones((4, 4), bool)}
    np.savez(path, **arrays, T_camera_object=np.eye(3))
    with pytest.raises(InputError, match="must be a 4 × 4 matrix of finite floating-point numbers"):
        read_view(path)


# ------------------------------------------------------------------------------------------ noise


def wall(distance: float, **changes: float) -> np.ndarray:
    obj = plate(np.array([0, 0, -1.0]), -distance)
    noise = replace(QUIET, **changes)
    rng = np.random.default_rng(4)
    view = render_view(obj, np.eye(4), height=200, width=250, noise=noise, rng=rng)
    assert view.mask.all()
    return view.depth


def test_no_noise_is_no_noise():
    obj = plate(np.array([0, 0, -1.0]), -0.7)
    assert np.array_equal(wall(0.7), render_view(obj, np.eye(4), height=200, width=250).depth)


@pytest.mark.parametrize("distance", [0.4, 0.9, 2.5])
def test_axial_noise_grows_with_the_square_of_the_depth(distance):
    depth = wall(distance, axial=0.0012, axial_growth=0.0019)
    expected = 0.0012 + 0.0019 * (distance - 0.4) ** 2
    assert depth.mean() == pytest.approx(distance, abs=5 * expected / np.sqrt(depth.size))
    assert depth.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * depth.size))


def test_depth_is_quantised_in_disparity():
    depth = np.unique(wall(1.5, axial=0.05, disparity_step=0.125))
    steps = KINECT.focal_baseline / depth / 0.125
    assert np.allclose(steps, np.round(steps), atol=1e-9)
    # Near the true depth every step occurs.
    usual = np.round(steps[np.abs(depth - 1.5) < 0.1])
    assert len(usual) > 20 and (np.diff(usual) == -1).all()
    # The spacing is about z² δ/(f b), 6 mm at 1.5 m.
    spacing = np.median(np.diff(depth))
    assert spacing == pytest.approx(1.5**2 * 0.125 / KINECT.focal_baseline, rel=0.1)


def test_far_depths_are_not_measured():
    assert KINECT.quantised(np.array([KINECT.focal_baseline / 0.125 * 3]))[0] == 0


def test_deviations_by_hand():
    angle = np.array([0.0, radians(45), radians(70)])
    found = KINECT.axial_deviation(np.full(3, 1.44), angle)
    frontal = 0.0012 + 0.0019 * 1.04**2
    assert np.allclose(found, [frontal, frontal, frontal + 0.0001 / 1.2 * (70 / 20) ** 2])
    assert np.allclose(KINECT.lateral_deviation(angle), 0.8 + 0.035 * np.array([0, 1, 3.5]))


def test_grazing_sides_are_not_measured(rng):
    obj = ball()
    pose = look_at(np.array([0, -0.5, 0]), np.zeros(3))
    exact = render_view(obj, pose)
    noisy = render_view(obj, pose, noise=replace(QUIET, grazing_angle=radians(60)), rng=rng)
    assert np.array_equal(noisy.mask, exact.mask)
    points = back_project(exact.depth, exact.intrinsics)
    normals = points - pose[:3, 3]
    lengths = np.linalg.norm(points, axis=-1) * np.linalg.norm(normals, axis=-1)
    cosine = -np.einsum("hwi,hwi->hw", points, normals) / np.where(exact.mask, lengths, 1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    assert (noisy.depth[exact.mask & (angle > 62)] == 0).all()
    kept = exact.mask & (angle < 58)
    assert np.array_equal(noisy.depth[kept], exact.depth[kept])


def test_lateral_noise_moves_edges_alone(rng):
    pose = look_at(np.array([0.0, 0.0, 1.0]), np.zeros(3))
    exact = render_view(cube(), pose)
    noisy = render_view(cube(), pose, noise=replace(QUIET, lateral=0.8), rng=rng)
    # The front of the cube has one depth, so only pixels that show a point beside it are missing.
    measured = noisy.depth > 0
    assert np.allclose(noisy.depth[measured], 0.9)
    lost = exact.mask & ~measured
    rows, columns = np.nonzero(exact.mask)
    inner = np.zeros_like(lost)
    inner[rows.min() + 5 : rows.max() - 4, columns.min() + 5 : columns.max() - 4] = True
    assert lost.any() and not lost[inner].any()


def test_lateral_noise_moves_the_angle_too(rng):
    # One plate faces the camera. The plate beside it is seen at a grazing angle and not measured,
    # so every measured depth is that of the first plate, also in pixels of the second.
    rows = [(-0.05, 0.5), (0.025, 0.5), (0.015, 0.3), (0.067, 1.0)]
    vertices = np.array([[x, y, z] for x, z in rows for y in (-0.5, 0.5)])
    faces = np.array([[0, 1, 2], [2, 1, 3], [4, 5, 6], [6, 5, 7]])
    obj = Object.from_mesh(vertices, faces)
    where = {"intrinsics": np.array([[300.0, 0, 32], [0, 300.0, 24], [0, 0, 1]])}
    where |= {"height": 48, "width": 64}
    exact = render_view(obj, np.eye(4), **where)
    grazed = exact.mask & (np.abs(exact.depth - 0.5) > 1e-6)
    assert grazed.sum() > 100
    noise = replace(QUIET, lateral=4.0, grazing_angle=radians(80))
    noisy = render_view(obj, np.eye(4), **where, noise=noise, rng=rng)
    measured = noisy.depth > 0
    assert (measured & grazed).sum() > 20
    assert np.allclose(noisy.depth[measured], 0.5, atol=1e-12)


def test_noise_is_that_of_the_generator():
    pose = look_at(np.ones(3), np.zeros(3))
    generators = [np.random.default_rng(seed) for seed in (1, 1, 2)]
    views = [render_view(cube(), pose, **SMALL, noise=KINECT, rng=rng) for rng in generators]
    assert np.array_equal(views[0].depth, views[1].depth)
    assert not np.array_equal(views[0].depth, views[2].depth)
    with pytest.raises(InputError, match="needs a random generator"):
        render_view(cube(), np.eye(4), noise=KINECT)


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        (np.diag([1.0, 1, 1, np.nan]), "not finite"),
        (np.diag([2.0, 2, 2, 1]), "not orthonormal"),
        (np.diag([-1.0, 1, 1, 1]), "reflection"),
    ],
)
def test_a_pose_that_no_camera_has(pose, words):
    with pytest.raises(InputError, match=f"camera .*{words}"):
        render_view(cube(), pose, **SMALL)


@pytest.mark.parametrize(
    ("position", "up", "words"),
    [
        ([0.0, 0, 1], (0.0, 0.0, 0.0), "finite and not zero"),
        ([0.0, 0, 1], (0.0, np.nan, 1.0), "finite and not zero"),
        ([np.nan, 0, 1], (0.0, 0.0, 1.0), "at finite positions"),
        ([np.inf, 0, 1], (0.0, 0.0, 1.0), "at finite positions"),
    ],
)
def test_a_camera_that_stands_nowhere(position, up, words):
    with pytest.raises(InputError, match=words):
        look_at(np.array(position), np.zeros(3), up)


def test_exact_rays_give_the_same_image_but_for_rounding():
    obj, pose = ball(0.1, 3), look_at(np.array([0.3, -0.4, 0.5]), np.zeros(3))
    fast, exact = (render_view(obj, pose, **SMALL, exact=each) for each in (False, True))
    np.testing.assert_array_equal(fast.mask, exact.mask)
    np.testing.assert_allclose(fast.depth, exact.depth, atol=1e-5)
