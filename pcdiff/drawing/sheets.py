"""Sheets of point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Literal

import numpy as np

from pcdiff.drawing.camera import THREE_QUARTER_VIEW, frame
from pcdiff.drawing.parts import Colour, Image, Spheres, Vector, check_points
from pcdiff.drawing.rendering import render
from pcdiff.errors import InputError

RAMP: tuple[Vector, ...] = (
    (0.15, 0.31, 0.60),
    (0.14, 0.50, 0.73),
    (0.36, 0.71, 0.76),
    (0.76, 0.90, 0.80),
)
"""The colours of a cloud from its lowest to its highest point, darker to lighter."""


def height_colours(points: np.ndarray, up: Literal["y", "z"] = "y") -> np.ndarray:
    """Colour points by their height, along `RAMP`.

    Args:
        points: `(n, 3)`, n >= 1.
        up: The upward axis.

    Returns:
        An sRGB colour a point, `(n, 3)`.

    Raises:
        InputError: A wrong shape, or a number that is not finite.
    """
    check_points(points, "the points to colour")
    height = points[:, "xyz".index(up)].astype(np.float64)
    share = (height - height.min()) / (np.ptp(height) or 1.0)
    knots = np.linspace(0, 1, len(RAMP))
    return np.stack(
        [np.interp(share, knots, channel) for channel in zip(*RAMP, strict=True)], axis=1
    )


def draw_clouds(
    clouds: Sequence[np.ndarray] | np.ndarray,
    *,
    columns: int = 4,
    labels: Sequence[str] | None = None,
    size: int = 300,
    up: Literal["y", "z"] = "y",
    colours: Sequence[Colour] | None = None,
    direction: Vector = THREE_QUARTER_VIEW,
    samples: int = 4,
) -> Image:
    """Draw a sheet of point clouds, row by row, each filling its own square tile.

    A point is a sphere whose radius is 0.7 n^(-1/2) of the cloud's longest side: n points on a
    surface are about n^(-1/2) apart, so neighbours overlap a little at any number of points.

    Args:
        clouds: One or more clouds `(n, 3)`, n >= 1, of any scale.
        columns: Tiles in a row, at most.
        labels: A caption under each cloud.
        size: Width and height of a tile, pixels.
        up: The clouds' upward axis. A z-up cloud is drawn as its y-up copy (x, z, -y) would be.
        colours: For each cloud one sRGB colour `(3,)`, or one a point `(n, 3)`;
            `height_colours` unless given.
        direction: From the cloud to the camera, in y-up axes.
        samples: As in `render`.

    Returns:
        The sheet.

    Raises:
        InputError: No clouds, a cloud of a wrong shape or with a number that is not finite, another
            number of labels or colours than of clouds, or a size or columns below 1.
    """
    if len(clouds) == 0:
        raise InputError("a sheet needs at least one cloud, got none")
    if up not in ("y", "z"):
        raise InputError(f"the upward axis of a cloud must be y or z, got {up}")
    if columns < 1:
        raise InputError(f"a sheet needs at least one column, got {columns}")
    for name, given in (("labels", labels), ("colours", colours)):
        if given is not None and len(given) != len(clouds):
            raise InputError(
                f"a sheet of {len(clouds)} clouds needs as many {name}, got {len(given)}"
            )
    for index, cloud in enumerate(clouds):
        check_points(cloud, f"cloud {index}")
    tiles = []
    for index, cloud in enumerate(clouds):
        points = cloud.astype(np.float64)
        if up == "z":
            points = points[:, [0, 2, 1]] * [1, 1, -1]
        longest = float(np.ptp(points, axis=0).max()) or 1.0
        colour = height_colours(points) if colours is None else colours[index]
        spheres = Spheres(points, 0.7 * longest / sqrt(len(cloud)), colour)
        camera = frame([spheres], direction)
        tile = render([spheres], camera, width=size, height=size, samples=samples)
        tiles.append(tile if labels is None else np.vstack([tile, _caption(labels[index], size)]))
    columns = min(columns, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.vstack(rows)


def _caption(text: str, width: int) -> Image:
    from PIL import Image as pillow
    from PIL import ImageDraw, ImageFont

    text = " ".join(text.split())
    height = max(ceil(0.11 * width), 12)
    strip = pillow.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(strip)
    size = 0.55 * height
    length = draw.textlength(text, font=ImageFont.load_default(size))
    font = ImageFont.load_default(size * min(1, 0.92 * width / max(length, 1)))
    draw.text((width / 2, height / 2), text, fill=(60, 60, 60), font=font, anchor="mm")
    return np.asarray(strip)
