"""Pictures of grasps: what is drawn is where the gripper is, in the colour of its outcome."""

from __future__ import annotations

import numpy as np
import pytest
from trimesh.creation import box

from grasp.objects.object import Object
from grasp.pictures import PictureSettings, draw_grasps, fork_mesh, outcome_colours


def cube():
    solid = box((0.03, 0.03, 0.03))
    return Object.from_mesh(np.array(solid.vertices), np.array(solid.faces))


def beside(x):
    """A hand that points down onto z = 0, at a distance from the cube."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[:3, 3] = x, 0, 0.1122
    return pose


@pytest.mark.parametrize("opening", [0.0, 0.03, 0.08])
def test_fork_is_around_the_gap_between_the_pads(panda, opening):
    vertices, faces = fork_mesh(panda, opening)
    assert faces.max() + 1 == len(vertices)
    assert vertices[:, 2].min() == pytest.approx(0)
    assert vertices[:, 2].max() == pytest.approx(panda.pad[1])
    tips = vertices[vertices[:, 2] > panda.pad[0]]
    assert np.abs(tips[:, 0]).min() == pytest.approx(opening / 2)
    np.testing.assert_allclose(vertices.mean(axis=0)[:2], 0, atol=1e-12)


def test_bars_of_a_fork_are_closed_and_face_outward(panda):
    import trimesh

    bars = trimesh.Trimesh(*fork_mesh(panda, 0.04)).split()
    assert len(bars) == 4
    assert all(bar.is_volume and bar.volume > 0 for bar in bars)


@pytest.mark.parametrize("style", ["hand", "fork"])
def test_success_is_green_and_failure_red_where_they_are(panda, style):
    picture = draw_grasps(
        cube(), panda, np.stack([beside(-0.25), beside(0.25)]),
        colours=outcome_colours(np.array([True, False])), style=style,
        settings=PictureSettings(direction=(0.0, -1.0, 0.1), width=120, height=40, samples=1),
    ).astype(int)  # fmt: skip
    red, green = picture[..., 0], picture[..., 1]
    is_green = np.argwhere(green > red + 60)[:, 1]
    is_red = np.argwhere(red > green + 60)[:, 1]
    assert len(is_green) > 20 and is_green.max() < 60
    assert len(is_red) > 20 and is_red.min() > 60


def test_a_cloud_is_drawn_too(panda):
    points, normals = cube().surface(200, np.random.default_rng(0))
    cloud = Object.from_points(points, normals)
    settings = PictureSettings(width=30, height=30, samples=1)
    picture = draw_grasps(cloud, panda, np.empty((0, 4, 4)), settings=settings)
    drawn = picture.min(axis=2) < 235
    assert drawn[8:22, 8:22].mean() > 0.5
    assert drawn[[0, -1]].sum() == 0
