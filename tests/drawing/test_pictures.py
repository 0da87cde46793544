"""Pictures against the geometry of a pinhole camera and closed forms of matt shading."""

from __future__ import annotations

from math import cos, pi, radians, sin, sqrt, tan

import numpy as np
import pytest
from PIL import Image

from pcdiff.drawing import rendering
from pcdiff.drawing.camera import Camera, Light, frame
from pcdiff.drawing.curves import Panel, draw_curves
from pcdiff.drawing.parts import Mesh, Spheres
from pcdiff.drawing.png import save_png
from pcdiff.drawing.rendering import render
from pcdiff.drawing.sheets import RAMP, draw_clouds, height_colours
from pcdiff.errors import InputError

BLACK = (0.0, 0.0, 0.0)


WHITE = (1.0, 1.0, 1.0)


QUAD = np.array([[0, 1, 2], [0, 2, 3]])


def linear(picture: np.ndarray) -> np.ndarray:
    """The linear light of a picture, by inverting the sRGB curve of IEC 61966-2-1."""
    value = picture / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def covered(picture: np.ndarray) -> np.ndarray:
    """The share of each pixel that black parts cover on a white background."""
    return 1 - linear(picture)[:, :, 0]


def camera_at(distance: float, field_of_view: float = 40.0) -> Camera:
    """A camera on the z axis, whose axes are x, y, z."""
    return Camera((0.0, 0.0, distance), (0.0, 0.0, 0.0), field_of_view=field_of_view)


def pixel_rays(width: int, height: int, field_of_view: float) -> np.ndarray:
    """Directions through the centres of the pixels of `camera_at`, with z = −1."""
    t = tan(radians(field_of_view / 2))
    x = (np.arange(width) + 0.5 - width / 2) / (height / 2) * t
    y = (height / 2 - np.arange(height) - 0.5) / (height / 2) * t
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    return np.concatenate([grid, -np.ones((height, width, 1))], axis=-1)


def sphere_depths(rays: np.ndarray, origin: np.ndarray, centres: np.ndarray, radii: np.ndarray):
    """The slow, obvious reference: distance at which each ray enters each sphere, or infinity."""
    to_centre = centres - origin
    a = np.sum(rays**2, axis=-1)[..., None]
    b = rays @ to_centre.T
    c = np.sum(to_centre**2, axis=-1) - radii**2
    discriminant = b**2 - a * c
    entry = (b - np.sqrt(np.maximum(discriminant, 0))) / a
    return np.where(discriminant > 0, entry, np.inf)


@pytest.mark.parametrize(("radius", "tolerance"), [(1.0, 0.004), (0.2, 0.01), (0.04, 0.05)])
def test_a_sphere_covers_the_disc_of_the_perspective_formula(radius, tolerance):
    size, distance, field_of_view = 161, 4.0, 40.0
    ball = Spheres(np.zeros((1, 3)), radius, BLACK)
    picture = render(
        [ball],
        camera_at(distance, field_of_view),
        width=size,
        height=size,
        samples=16,
        ground=False,
    )
    # The rays tangent to the sphere are at the angle asin(r / D) to the axis.
    focal = size / 2 / tan(radians(field_of_view / 2))
    disc = focal * radius / sqrt(distance**2 - radius**2)
    share = covered(picture)
    assert share.sum() == pytest.approx(pi * disc**2, rel=tolerance)
    offsets = np.arange(size) - (size - 1) / 2
    from_middle = np.hypot(offsets[:, None], offsets[None, :])
    assert np.all(share[from_middle < disc - 1.2] == 1)
    assert np.all(share[from_middle > disc + 1.2] == 0)


def test_the_nearest_sphere_is_seen_at_every_pixel():
    rng = np.random.default_rng(0)
    count, width, height, distance, field_of_view = 30, 120, 90, 5.0, 45.0
    centres = rng.uniform(-1.5, 1.5, (count, 3))
    radii = rng.uniform(0.2, 0.5, count)
    channels = rng.integers(0, 3, count)
    parts = [
        Spheres(centre[None], float(radius), tuple(np.eye(3)[channel].tolist()))
        for centre, radius, channel in zip(centres, radii, channels, strict=True)
    ]
    picture = render(
        parts, camera_at(distance, field_of_view), width=width, height=height, ground=False
    )
    rays = pixel_rays(width, height, field_of_view)
    origin = np.array([0.0, 0.0, distance])

    def kind(margin):
        depths = sphere_depths(rays, origin, centres, radii + margin)
        return np.where(np.isfinite(depths.min(-1)), channels[depths.argmin(-1)], 3)

    # Pixels on an outline mix two colours, so leave out those that change with the radii.
    sure = (kind(-0.03) == kind(0.0)) & (kind(0.03) == kind(0.0))
    # A red surface has no green and no blue; white has all three.
    seen = np.where(picture.min(axis=-1) > 0, 3, picture.argmax(axis=-1))
    assert sure.mean() > 0.6
    assert set(np.unique(kind(0.0)[sure])) == {0, 1, 2, 3}
    np.testing.assert_array_equal(seen[sure], kind(0.0)[sure])


def test_a_quadrilateral_covers_its_projection():
    size, distance, field_of_view = 150, 4.0, 40.0
    corners = np.array([[-0.9, -0.5, 0.6], [0.7, -0.8, -0.5], [0.9, 0.6, -0.9], [-0.6, 0.9, 0.2]])
    picture = render(
        [Mesh(corners, QUAD, BLACK)],
        camera_at(distance, field_of_view),
        width=size,
        height=size,
        samples=16,
        ground=False,
    )
    focal = size / 2 / tan(radians(field_of_view / 2))
    # The corners are not in one plane, but the two triangles still project to a quadrilateral.
    x, y = (focal * corners[:, :2] / (distance - corners[:, 2:])).T
    area = 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)
    share = covered(picture)
    assert share.sum() == pytest.approx(area, rel=3e-3)

    # The distance of each pixel's centre to the nearest edge, positive inside.
    column = np.arange(size) - (size - 1) / 2
    px, py = np.meshgrid(column, -column)
    ex, ey = np.roll(x, -1) - x, np.roll(y, -1) - y
    inside = ex * (py[..., None] - y) - ey * (px[..., None] - x)
    depth = np.min(inside / np.hypot(ex, ey), axis=-1)
    assert np.all(share[depth > 0.8] == 1)
    assert np.all(share[depth < -0.8] == 0)


def test_a_frame_just_holds_the_parts():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(40, 3)) * [2.0, 1.0, 0.5] + [3.0, -7.0, 2.0]
    width, height, margin = 240, 160, 0.1
    part = Spheres(centres, 0.3, BLACK)
    camera = frame(
        [part], (0.5, 0.8, -1.0), aspect=width / height, margin=margin, field_of_view=50.0
    )
    share = covered(render([part], camera, width=width, height=height, samples=9, ground=False))
    (rows,), (columns,) = np.nonzero(share.max(axis=1)), np.nonzero(share.max(axis=0))
    free = (columns[0], width - 1 - columns[-1], rows[0], height - 1 - rows[-1])
    assert abs(free[0] - free[1]) <= 2
    assert abs(free[2] - free[3]) <= 2
    # In the tighter of the two directions exactly the margin stays free.
    tight = min((free[0] + free[1]) / 2 - margin * width, (free[2] + free[3]) / 2 - margin * height)
    assert abs(tight) <= 1.5


def test_a_picture_does_not_depend_on_the_unit_or_on_where_the_scene_is():
    rng = np.random.default_rng(2)
    centres = rng.normal(size=(100, 3))
    faces = np.array([[0, 1, 2], [3, 4, 5]])

    def picture(scale: float, shift: float) -> np.ndarray:
        moved = centres * scale + shift
        parts = [Spheres(moved, 0.1 * scale), Mesh(moved, faces, (0.9, 0.5, 0.3))]
        return render(parts, frame(parts), width=80, height=60).astype(int)

    here = picture(1.0, 0.0)
    for there in (picture(1e-4, 0.0), picture(1e3, 0.0), picture(1.0, 1000.0)):
        # In rare cases rounding moves a ray to the other side of an edge.
        assert np.mean(np.abs(here - there).max(axis=-1) > 2) < 0.005


def test_an_open_floor_receives_the_closed_form_of_lamp_and_sky():
    light = Light(azimuth=25.0, elevation=50.0, spread=0.0, lamp=0.5, sky=0.4, floor=0.3)
    corners = np.array([[-9.0, 0, -9], [-9, 0, 9], [9, 0, 9], [9, 0, -9]])
    camera = Camera((0.0, 5.0, 5.0), (0.0, 0.0, 0.0), field_of_view=20.0)
    albedo = 0.6
    colour = 1.055 * albedo ** (1 / 2.4) - 0.055
    picture = render(
        [Mesh(corners, QUAD, (colour, colour, colour))],
        camera,
        width=20,
        height=20,
        samples=16,
        light=light,
    )
    # Matt surfaces weigh the sky with the density 2c of the cosine c, whose mean is 2/3.
    expected = 0.5 * sin(radians(50)) + 0.4 * (0.3 + 0.7 * (1 + 2 / 3) / 2)
    assert linear(picture).mean() == pytest.approx(albedo * expected, rel=0.01)


def test_a_sphere_under_a_distant_lamp_is_lamberts():
    light = Light(azimuth=-30.0, elevation=40.0, spread=0.0, lamp=0.9, sky=0.0)
    size, distance, field_of_view = 61, 6.0, 25.0
    picture = render(
        [Spheres(np.zeros((1, 3)), 1.0, WHITE)],
        camera_at(distance, field_of_view),
        width=size,
        height=size,
        samples=1,
        light=light,
        ground=False,
    )
    rays, origin = pixel_rays(size, size, field_of_view), np.array([0.0, 0.0, distance])
    depth = sphere_depths(rays, origin, np.zeros((1, 3)), np.ones(1))[..., 0]
    hit = np.isfinite(sphere_depths(rays, origin, np.zeros((1, 3)), np.array([0.97])))[..., 0]
    normals = origin + np.where(hit, depth, 0)[..., None] * rays
    azimuth, elevation = radians(-30), radians(40)
    to_lamp = [cos(elevation) * sin(azimuth), sin(elevation), cos(elevation) * cos(azimuth)]
    expected = 0.9 * np.maximum(normals @ np.array(to_lamp), 0)
    np.testing.assert_allclose(linear(picture)[hit][:, 0], expected[hit], atol=0.02)


def test_faces_towards_the_lamp_are_brighter():
    corners = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    left, top, front, right = ([0, 1, 3, 2], [2, 3, 7, 6], [1, 5, 7, 3], [4, 6, 7, 5])
    quads = np.array([left, top, front, right])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    light = Light(azimuth=-50.0, elevation=60.0)

    def brightness(direction):
        part = Mesh(corners, faces, (0.5, 0.5, 0.5))
        camera = Camera(direction, (0.0, 0.0, 0.0))
        return camera, render([part], camera, width=99, height=99, light=light)[:, :, 0]

    camera, picture = brightness((12.0, 12.0, 12.0))

    def seen(point):
        x, y, z = camera.axes @ (np.array(point) - camera.position)
        focal = 49.5 / tan(radians(10))
        return int(picture[int(49.5 + focal * y / z), int(49.5 - focal * x / z)])

    assert seen([0, 1, 0]) > seen([0, 0, 1]) > seen([1, 0, 0])


def test_the_ground_shows_the_shadow_where_the_lamp_is_hidden():
    # With a lamp straight above and no sky it is black below the square roof, white elsewhere.
    roof = Mesh(np.array([[-1.0, 1, -1], [-1, 1, 1], [1, 1, 1], [1, 1, -1]]), QUAD, BLACK)
    pebble = Spheres(np.array([[-1.9, 0.05, 0.0]]), 0.05, BLACK)  # so that the ground is at 0
    light = Light(elevation=90.0, spread=0.0, lamp=1.0, sky=0.0)
    size = 200
    camera = Camera((0.0, 3.0, 16.0), (0.0, 0.0, 0.0))
    picture = render([roof, pebble], camera, width=size, height=size, light=light)[:, :, 0]
    focal = size / 2 / tan(radians(10))

    def seen(x, z):
        right, upward, backward = camera.axes @ (np.array([x, 0.0, z]) - camera.position)
        return picture[
            round(size / 2 - 0.5 + focal * upward / backward),
            round(size / 2 - 0.5 - focal * right / backward),
        ]

    for x in np.linspace(-1.5, 1.5, 13):
        for z in np.linspace(-0.8, 1.8, 14):
            # The mean over a window of 5 pixels softens the edge by 2.5 pixels.
            edge = max(abs(x), abs(z))
            if edge < 0.75:
                assert seen(x, z) == 0
            elif edge > 1.25:
                assert seen(x, z) == 255


def test_the_ground_is_as_white_as_the_background_away_from_the_parts():
    part = Spheres(np.array([[0.0, 0.5, 0.0]]), 0.5)
    camera = Camera((0.0, 2.0, 8.0), (0.0, 0.0, 0.0), field_of_view=30.0)
    picture = render([part], camera, width=100, height=100)
    grey = np.ptp(picture, axis=-1) == 0  # the sphere is blue
    assert picture[grey].min() < 200
    # Check well inside the picture, not only at its edge, where shadows fade.
    for side in (picture[:24], picture[76:], picture[:, :24], picture[:, 76:]):
        assert np.all(side == 255)


def test_a_picture_is_a_function_of_its_arguments(monkeypatch):
    centres = np.random.default_rng(3).normal(size=(50, 3))
    parts = [Spheres(centres, 0.2)]
    camera = frame(parts)
    first = render(parts, camera, width=50, height=40)
    assert render(parts, camera, width=50, height=40).tobytes() == first.tobytes()
    monkeypatch.setattr(rendering, "PIXELS_AT_ONCE", 170)
    assert render(parts, camera, width=50, height=40).tobytes() == first.tobytes()


def test_a_sheet_is_its_tiles_row_by_row():
    rng = np.random.default_rng(4)
    clouds = [rng.normal(size=(count, 3)) for count in (1, 20, 300)]
    sheet = draw_clouds(clouds, columns=2, size=40)
    tiles = [draw_clouds([cloud], size=40) for cloud in clouds]
    assert sheet.shape == (80, 80, 3)
    np.testing.assert_array_equal(sheet[:40, :40], tiles[0])
    np.testing.assert_array_equal(sheet[:40, 40:], tiles[1])
    np.testing.assert_array_equal(sheet[40:, :40], tiles[2])
    assert np.all(sheet[40:, 40:] == 255)


def test_captions_stand_below_the_tiles():
    cloud = np.random.default_rng(5).normal(size=(30, 3))
    bare = draw_clouds([cloud, cloud], size=100, samples=1)
    labels = ["", "a caption that is too long for its tile"]
    sheet = draw_clouds([cloud, cloud], size=100, samples=1, labels=labels)
    np.testing.assert_array_equal(sheet[:100], bare)
    assert np.all(sheet[100:, :100] == 255)
    assert sheet[100:, 100:].min() < 200
    # Even a long caption stays inside its own tile.
    assert np.all(sheet[100:, [100, 199]] == 255)


def test_a_z_up_cloud_is_drawn_as_its_y_up_copy():
    y_up = np.random.default_rng(6).normal(size=(60, 3)).astype(np.float32)
    z_up = np.stack([y_up[:, 0], -y_up[:, 2], y_up[:, 1]], axis=1)
    quarter_turn_about_x = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=np.float32)
    np.testing.assert_array_equal(z_up, y_up @ quarter_turn_about_x.T)
    np.testing.assert_array_equal(
        draw_clouds([z_up], size=50, up="z"), draw_clouds([y_up], size=50)
    )


def test_a_cloud_fills_its_tile_at_any_scale():
    cloud = np.random.default_rng(7).normal(size=(60, 3))
    small, large = (draw_clouds([cloud * scale], size=80).astype(int) for scale in (0.25, 4.0))
    np.testing.assert_array_equal(small, large)
    drawn = np.nonzero(np.ptp(small, axis=-1).max(axis=1) > 20)[0]
    drawn_across = np.nonzero(np.ptp(small, axis=-1).max(axis=0) > 20)[0]
    assert max(np.ptp(drawn), np.ptp(drawn_across)) == pytest.approx(80 * (1 - 2 * 0.07), abs=3)


def test_colours_follow_the_points():
    left_and_right = np.random.default_rng(9).normal(size=(40, 3)) * 0.1
    left_and_right[:20, 0] -= 1
    left_and_right[20:, 0] += 1
    red_and_green = np.repeat(np.array([[1.0, 0, 0], [0, 1, 0]]), 20, axis=0)
    sheet = draw_clouds([left_and_right], size=60, colours=[red_and_green]).astype(int)
    (_, red), (_, green) = (np.nonzero(sheet[:, :, i] - sheet[:, :, 1 - i] > 50) for i in (0, 1))
    assert min(len(red), len(green)) > 20
    assert red.max() < green.min()


def test_height_colours_run_from_the_lowest_to_the_highest_point():
    heights = np.array([3.0, 1.0, 2.0, 4.0])  # the ramp has four knots
    points = np.stack([np.zeros(4), heights, np.full(4, 9.0)], axis=1)
    expected = np.array(RAMP)[[2, 0, 1, 3]]
    np.testing.assert_allclose(height_colours(points), expected, atol=1e-12)
    np.testing.assert_allclose(height_colours(points[:, [0, 2, 1]], up="z"), expected, atol=1e-12)


def test_a_saved_picture_comes_back(tmp_path):
    picture = np.random.default_rng(8).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    path = tmp_path / "new" / "picture.png"
    save_png(path, picture)
    with Image.open(path) as opened:
        assert opened.format == "PNG"
        np.testing.assert_array_equal(np.asarray(opened), picture)
    assert [each.name for each in path.parent.iterdir()] == ["picture.png"]
    with pytest.raises(InputError, match=r"\.png"):
        save_png(tmp_path / "picture.jpg", picture)


POINTS = np.zeros((4, 3))


GOOD = Spheres(POINTS, 1.0)


FRONT = camera_at(5.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw_clouds([]), "at least one cloud"),
        (lambda: draw_clouds([POINTS, np.zeros((0, 3))]), r"cloud 1 .*\(0, 3\)"),
        (lambda: draw_clouds([np.zeros((5, 2))]), r"cloud 0 .*\(5, 2\)"),
        (lambda: draw_clouds([np.full((5, 3), np.nan)]), "cloud 0 must be finite"),
        (lambda: draw_clouds([POINTS.astype(str)]), "cloud 0 must be numbers"),
        (lambda: draw_clouds([POINTS], labels=["a", "b"]), "labels of a sheet must be 1, .* got 2"),
        (lambda: draw_clouds([POINTS], colours=[]), "colours of a sheet must be 1, .* got 0"),
        (lambda: draw_clouds([POINTS], columns=0), "one column"),
        (lambda: draw_clouds([POINTS], size=0), "at least 1"),
        (lambda: Spheres(POINTS, 0.0), "positive"),
        (lambda: Spheres(POINTS, float("nan")), "positive"),
        (lambda: Spheres(POINTS, 1.0, np.zeros((3, 3))), r"\(4, 3\), got \(3, 3\)"),
        (lambda: Spheres(POINTS, 1.0, (0.0, 0.0, 255.0)), r"in \[0, 1\]"),
        (lambda: Spheres(POINTS, 1.0, (0.0, 0.0, float("nan"))), r"in \[0, 1\]"),
        (lambda: Mesh(POINTS, np.zeros((2, 4), dtype=int)), r"\(2, 4\)"),
        (lambda: Mesh(POINTS, np.zeros((2, 3))), "integers"),
        (lambda: Mesh(POINTS, np.array([[0, 1, 4]])), "from 0 to 4"),
        (lambda: Mesh(POINTS, np.array([[0, 1, -1]])), "from -1 to 1"),
        (lambda: camera_at(5.0, 180.0), "field of view"),
        (lambda: camera_at(0.0), "camera"),
        (lambda: Camera((0.0, 5.0, 0.0), (0.0, 0.0, 0.0)), "camera"),
        (lambda: Camera((0.0, float("nan"), 5.0), (0.0, 0.0, 0.0)), "camera"),
        (lambda: frame([]), "at least one part"),
        (lambda: frame([GOOD], margin=0.5), "margin"),
        (lambda: frame([GOOD], field_of_view=0.0), "field of view"),
        (lambda: render([], FRONT, width=9, height=9), "at least one part"),
        (lambda: render([GOOD], FRONT, width=9, height=9, samples=0), "0 samples"),
        (lambda: draw_curves([]), "at least one of"),
        (lambda: draw_curves([{"step": 1, "train_loss": ""}]), "at least one of"),
        (lambda: draw_curves([{"train_loss": 1}]), "got none in row 1"),
        (lambda: draw_curves([{"step": 1, "train_loss": "low"}]), "'low' in row 1"),
        (
            lambda: draw_curves([{"step": 1, "a": -2.0}], panels=[Panel(("a",), "log")]),
            "got -2.0 in the column a",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()
