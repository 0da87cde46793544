"""Scenes: reading YAML files, error messages, and collisions with a gripper."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
import yaml
from scipy.spatial.transform import Rotation

from grasp.grippers.gripper import Gripper
from grasp.objects.depth import intrinsics_matrix
from grasp.objects.object import Object
from grasp.scenes.collision import POINT_TOLERANCE, in_collision, meets_box, meets_half_space
from grasp.scenes.loading import load_scene
from grasp.scenes.scene import PlacedBox, PlacedCloud, PlacedMesh, Scene
from pcdiff.errors import InputError

TURN = Rotation.from_euler("xyz", [0.3, -0.2, 0.5])


def at(*position: float, turn: Rotation | None = None) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = position
    if turn is not None:
        pose[:3, :3] = turn.as_matrix()
    return pose


def random_poses(count: int, spread: float, rng: np.random.Generator) -> np.ndarray:
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, rng=rng).as_matrix()
    poses[:, :3, 3] = rng.normal(0, spread, (count, 3))
    return poses


def write(folder: Path, document: object) -> Path:
    path = folder / "scene.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
    return path


def write_cube(path: Path, side: float) -> None:
    trimesh.creation.box((side, side, side)).export(path)


# --- Reading --------------------------------------------------------------------------------------


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write_cube(tmp_path / "models" / "cube.stl", 10.0)
    np.save(tmp_path / "scan.npy", np.array([[100.0, 0.0, 0.0], [0.0, 200.0, 50.0]]))
    scene = load_scene(
        write(
            tmp_path,
            {
                "table": {"position": [0, 0, 0.4]},
                "boxes": [
                    {
                        "size": [0.6, 0.3, 0.02],
                        "position": [0.5, 0, 0.7],
                        "quaternion_xyzw": TURN.as_quat().tolist(),
                    },
                    {"size": [1, 1, 1]},
                ],
                "meshes": [
                    {
                        "file": "models/cube.stl",
                        "unit": "cm",
                        "pose": at(0.1, 0.2, 0.3, turn=TURN).tolist(),
                    }
                ],
                "clouds": [{"file": "scan.npy", "unit": "mm", "scale": 2.0, "position": [0, 1, 0]}],
                "object": {"quaternion_xyzw": [0, 0, 1, 0]},
            },
        )
    )
    np.testing.assert_array_equal(scene.T_world_table, at(0, 0, 0.4))
    np.testing.assert_allclose(scene.boxes[0].T_world_box, at(0.5, 0, 0.7, turn=TURN), atol=1e-15)
    np.testing.assert_array_equal(scene.boxes[0].size, [0.6, 0.3, 0.02])
    np.testing.assert_array_equal(scene.boxes[1].T_world_box, np.eye(4))
    np.testing.assert_allclose(
        scene.meshes[0].T_world_mesh, at(0.1, 0.2, 0.3, turn=TURN), atol=1e-15
    )
    np.testing.assert_allclose(scene.meshes[0].object.extent, 0.1)
    np.testing.assert_allclose(scene.clouds[0].points, [[0.2, 0, 0], [0, 0.4, 0.1]])
    np.testing.assert_array_equal(scene.clouds[0].T_world_cloud, at(0, 1, 0))
    np.testing.assert_allclose(scene.T_world_object, np.diag([-1.0, -1.0, 1.0, 1.0]), atol=1e-15)


def test_every_key_is_optional(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, "{}"))
    assert scene.T_world_table is None
    assert (scene.boxes, scene.meshes, scene.clouds) == ((), (), ())
    np.testing.assert_array_equal(scene.T_world_object, np.eye(4))
    # A table without a pose is at z = 0.
    np.testing.assert_array_equal(load_scene(write(tmp_path, "table: {}")).T_world_table, np.eye(4))


def test_a_scene_cannot_be_changed(tmp_path: Path) -> None:
    scene = load_scene(write(tmp_path, "{table: {}, boxes: [{size: [1, 1, 1]}], object: {}}"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scene.boxes = ()
    for array in (
        scene.T_world_table, scene.T_world_object, scene.boxes[0].size, scene.boxes[0].T_world_box,
        Scene().T_world_object,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_rounded_rotations_become_rotations(tmp_path: Path) -> None:
    rows = np.round(at(1, 2, 3, turn=TURN), 3)
    read = load_scene(write(tmp_path, {"object": {"pose": rows.tolist()}})).T_world_object
    assert np.abs(rows[:3, :3].T @ rows[:3, :3] - np.eye(3)).max() > 1e-4
    np.testing.assert_allclose(read[:3, :3].T @ read[:3, :3], np.eye(3), atol=1e-15)
    np.testing.assert_allclose(read, at(1, 2, 3, turn=TURN), atol=1e-3)


def test_a_depth_image_is_a_cloud_of_all_its_pixels(tmp_path: Path) -> None:
    depth = np.array([[0.5, 0.0], [0.25, 1.0]])
    np.savez(
        tmp_path / "view.npz",
        depth=depth,
        intrinsics=intrinsics_matrix(2.0, 2.0, 0.0, 0.0),
        mask=np.array([[True, False], [False, False]]),  # the object to grasp
    )
    scene = load_scene(write(tmp_path, {"clouds": [{"file": "view.npz"}]}))
    np.testing.assert_allclose(
        scene.clouds[0].points, [[0, 0, 0.5], [0, 0.125, 0.25], [0.5, 0.5, 1.0]]
    )


# --- Refusing -------------------------------------------------------------------------------------

REFLECTION = np.diag([1.0, 1.0, -1.0, 1.0]).tolist()


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("", "the top level must be a mapping, got nothing"),
        ("- 1", "the top level must be a mapping, got a list of length 1"),
        ("table: {positon: [0, 0, 0]}", "table: the key 'positon' is unknown"),
        ("tables: {}", "the key 'tables' is unknown, expected only boxes, clouds, mesh"),
        ("table:", "table must be a mapping, got nothing"),
        ("table: 0.4", "table must be a mapping, got 0.4"),
        ("boxes: {size: [1, 1, 1]}", "boxes must be a list, got a mapping"),
        ("boxes: [{size: [1, 1, 1]}, {}]", r"boxes\[1\]: the key size is missing"),
        ("boxes: [{size: [1, 1]}]", r"boxes\[0\]: size must be a list of 3 numbers"),
        ("boxes: [{size: [1, 1, 0]}]", r"boxes\[0\]: size must be above 0"),
        ("boxes: [{size: [1, 1, .nan]}]", r"boxes\[0\]: number 2 of size must be finite"),
        ("boxes: [{size: [1, 1, 1e30]}]", r"boxes\[0\]: size must be above 0 and at most"),
        ("object: {position: [0, 0]}", "object: position must be a list of 3 numbers"),
        ("object: {position: [0, 0, 1e30]}", "object: the position must .* to 1e.09 m"),
        ("object: {quaternion_xyzw: [0, 0, 0, 2]}", "object: quaternion_xyzw must have norm 1"),
        ("object: {pose: [1, 0, 0, 0]}", "object: row 0 of pose must be a list of 4 numbers"),
        ({"object": {"pose": np.eye(3).tolist()}}, "object: pose must be a list of 4 rows"),
        ({"object": {"pose": REFLECTION}}, "object: pose must be a rigid"),
        ({"object": {"pose": (2 * np.eye(4)).tolist()}}, "object: pose must be a rigid"),
        ({"object": {"pose": (1e300 * np.eye(4)).tolist()}}, "object: pose must be a rigid"),
        ({"object": {"pose": np.full((4, 4), 1.7e308).tolist()}}, "object: pose must be a rigid"),
        (
            {"table": {"pose": np.eye(4).tolist(), "position": [0, 0, 0]}},
            "table: expected either pose, or position and",
        ),
        ("meshes: [{unit: cm}]", r"meshes\[0\]: the key file is missing"),
        ("meshes: [{file: lost.obj}]", r"meshes\[0\]: .*lost.obj does not exist"),
        (
            "meshes: [{file: cloud.npy}]",
            r"meshes\[0\]: .*cloud.npy is a point cloud, expected a mesh",
        ),
        ("meshes: [{file: cube.stl, unit: ft}]", r"meshes\[0\]: unit must be one of m, cm, mm"),
        ("meshes: [{file: cube.stl, scale: -1}]", r"meshes\[0\]: scale must be above 0"),
        ("meshes: [{file: cube.stl, scale: big}]", r"meshes\[0\]: scale must be a number"),
        ("meshes: [{file: cube.stl, unit: m}]", r"meshes\[0\]: .*cube.stl would be 10 m long"),
        ("meshes: [{file: 7}]", r"meshes\[0\]: file must be text"),
        ("clouds: [{file: lost.ply}]", r"clouds\[0\]: .*lost.ply does not exist"),
        ("clouds: [{file: cube.stl}]", r"clouds\[0\]: .*is a mesh, expected a point cloud"),
        ("clouds: [{file: cloud.npy, scale: 1000}]", r"clouds\[0\]: .*would be 173 m long"),
        ("clouds: [{file: cloud.npy, scale: 1e308, unit: m}]", r"clouds\[0\]: .*would be"),
        ("clouds: [{file: cloud.npy, scale: 1e308, unit: inch}]", r"clouds\[0\]: .*would be"),
        ("clouds: [{file: nan.npy}]", r"clouds\[0\]: .*not finite in all 2 points"),
        ("clouds: [{file: cloud.xml}]", r"clouds\[0\]: .*must end in"),
        ("table: {}\ntable: {}", "the key 'table' more than once"),
        ("table: {position: [0, 0", "the text is not YAML"),
        ("table: !!python/object:os.system {}", "the text is not YAML"),
    ],
)
def test_refusals(document: object, sentence: str, tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.stl", 10.0)
    points = np.random.default_rng(0).uniform(0, 0.1, (100, 3))
    points[:2] = [0, 0, 0], [0.1, 0.173, 0.1]
    np.save(tmp_path / "cloud.npy", points)
    np.save(tmp_path / "nan.npy", np.array([[0.0, 0.0, np.nan], [np.inf, 0.0, 0.0]]))
    path = write(tmp_path, document)
    with pytest.raises(InputError, match=sentence) as refused:
        load_scene(path)
    message = str(refused.value)
    assert message.startswith(f"cannot read the scene {path}: ")
    assert "\n" not in message


def test_files_that_are_not_scenes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must end in"):
        load_scene(tmp_path / "scene.json")
    with pytest.raises(InputError, match="does not exist"):
        load_scene(tmp_path / "scene.yml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        load_scene(tmp_path / "folder.yaml")


def test_a_scene_made_in_python_is_checked() -> None:
    cloud = Object.from_points(np.random.default_rng(0).normal(size=(50, 3)))
    for make, sentence in (
        (lambda: Scene(T_world_table=np.diag([2.0, 1, 1, 1])), "table 0 is not orthonormal"),
        (lambda: Scene(T_world_object=np.zeros((4, 4))), "last row of the pose of object"),
        (lambda: PlacedBox(np.array([1.0, -1.0, 1.0]), np.eye(4)), "side lengths of a box"),
        (lambda: PlacedMesh(cloud, np.eye(4)), "is a point cloud, expected a mesh"),
        (
            lambda: PlacedCloud(np.full((2, 3), np.inf), np.eye(4)),
            "points of a cloud must be finite",
        ),
    ):
        with pytest.raises(InputError, match=sentence):
            make()


# --- Collision ------------------------------------------------------------------------------------


def test_a_hand_from_above_hits_the_table_at_its_height(panda: Gripper, tmp_path: Path) -> None:
    """The object is rotated in the world, and poses are in its frame."""
    scene = load_scene(
        write(
            tmp_path,
            {
                "table": {"position": [0, 0, 0.4]},
                "object": {"pose": at(0.3, 0.1, 0.45, turn=TURN).tolist()},
            },
        )
    )
    down = Rotation.from_euler("x", math.pi)
    for clear, hit in ((0.002, False), (-0.0009, False), (-0.0011, True)):
        T_world_grasp = at(0.3, 0.1, 0.4 + 0.1122 + clear, turn=down)
        pose = np.linalg.inv(scene.T_world_object) @ T_world_grasp
        assert scene.in_collision(pose[None], panda).tolist() == [hit], clear


def test_a_scene_collides_wherever_one_of_its_things_does(
    panda: Gripper, rng: np.random.Generator
) -> None:
    cube = trimesh.creation.box((0.06, 0.06, 0.06))
    mesh = Object.from_mesh(np.array(cube.vertices), np.array(cube.faces, dtype=np.int64))
    table, box_at, mesh_at, cloud_at, object_at = (random_poses(1, 0.1, rng)[0] for _ in range(5))
    table[:3, 3] -= 0.2 * table[:3, 2]
    size, points = np.array([0.05, 0.02, 0.3]), rng.uniform(-0.03, 0.03, (40, 3))
    scene = Scene(
        table,
        (PlacedBox(size, box_at),),
        (PlacedMesh(mesh, mesh_at),),
        (PlacedCloud(points, cloud_at),),
        object_at,
    )
    poses = random_poses(300, 0.15, rng)
    # Each thing in its own frame, in which the hand is at T_thing_world · T_world_object · pose.
    one_by_one = [
        meets_half_space(np.linalg.inv(table) @ object_at @ poses, panda, np.eye(4), 0.05),
        meets_box(np.linalg.inv(box_at) @ object_at @ poses, panda, np.eye(4), size, 0.05),
        meets_box(
            np.linalg.inv(mesh_at) @ object_at @ poses,
            panda,
            np.eye(4),
            np.full(3, 0.06),
            0.05,
            POINT_TOLERANCE,
        ),
        in_collision(np.linalg.inv(cloud_at) @ object_at @ poses, panda, points, 0.05),
    ]
    assert all(0.02 < each.mean() < 0.9 for each in one_by_one)
    found = scene.in_collision(poses, panda, 0.05)
    # Points represent the mesh, so a corner that is barely touched can be missed.
    assert (found <= np.any(one_by_one, axis=0)).all()
    assert (found == np.any(one_by_one, axis=0)).mean() > 0.98
    without = dataclasses.replace(scene, meshes=())
    expected = np.any([one_by_one[0], one_by_one[1], one_by_one[3]], axis=0)
    assert (without.in_collision(poses, panda, 0.05) == expected).all()
    of_tensors = scene.in_collision(torch.from_numpy(poses), panda, 0.05)
    assert of_tensors.tolist() == found.tolist()


def test_an_empty_scene_has_no_collisions(panda: Gripper, rng: np.random.Generator) -> None:
    assert not Scene().in_collision(random_poses(20, 0.1, rng), panda).any()
    assert Scene().in_collision(np.empty((0, 4, 4)), panda).shape == (0,)


def test_points_on_meshes_have_the_density_and_are_repeatable(rng: np.random.Generator) -> None:
    cube = trimesh.creation.box((0.1, 0.1, 0.1))
    mesh = Object.from_mesh(np.array(cube.vertices), np.array(cube.faces, dtype=np.int64))
    here, there = np.eye(4), random_poses(1, 0.5, rng)[0]
    scene = Scene(meshes=(PlacedMesh(mesh, here), PlacedMesh(mesh, there)))
    half = len(scene.points) // 2
    assert half == 6000  # 6 sides of 0.01 m² at 100,000 points per square metre
    np.testing.assert_allclose(np.abs(scene.points[:half]).max(axis=1), 0.05)
    moved = scene.points[:half] @ there[:3, :3].T + there[:3, 3]
    np.testing.assert_allclose(scene.points[half:], moved, atol=1e-12)
    again = Scene(meshes=(PlacedMesh(mesh, here), PlacedMesh(mesh, there)))
    np.testing.assert_array_equal(scene.points, again.points)
    hall = Object.from_mesh(100 * np.array(cube.vertices), mesh.faces)
    with pytest.raises(InputError, match="expected at most"):
        _ = Scene(meshes=(PlacedMesh(hall, here),)).points


def test_points_that_are_not_finite_are_left_out_and_counted(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(0, 0.1, (100, 3))
    points[7, 1] = np.nan
    np.save(tmp_path / "cloud.npy", points)
    scene = load_scene(write(tmp_path, "clouds: [{file: cloud.npy}]"))
    assert np.array_equal(scene.clouds[0].points, np.delete(points, 7, axis=0))
    assert scene.remarks == (f"{tmp_path / 'cloud.npy'}: left out 1 of 100 points: not finite",)


def test_a_scene_passes_on_remarks_about_a_camera(tmp_path: Path) -> None:
    camera = np.array([[1.0, 0, 0.5], [0, 2.0, 0.5], [0, 0, 1]])
    np.savez(tmp_path / "a.npz", depth=np.full((2, 2), 0.5), intrinsics=camera)
    scene = load_scene(write(tmp_path, "clouds: [{file: a.npz}]"))
    assert scene.remarks == (
        f"{tmp_path / 'a.npz'}: the focal lengths differ by more than 5%: 1 and 2",
    )
