"""Sheets: pictures in a grid, with captions; and sheets of point clouds."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Literal

import numpy as np
from jaxtyping import UInt8

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
"""Colours of a cloud from its lowest to its highest point, from dark to light."""


def height_colours(points: np.ndarray, up: Literal["y", "z"] = "y") -> np.ndarray:
    """Colour points by their height, along `RAMP`.

    Args:
        points: Points of a cloud, `(n, 3)` with n ≥ 1.
        up: Upward axis of the cloud.

    Returns:
        One sRGB colour per point, `(n, 3)`.

    Raises:
        InputError: If the array has a wrong shape, or a number is not finite.
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
    """Draw a sheet of point clouds row by row; each cloud fills one square tile.

    A point of a cloud with n points becomes a sphere with a radius of 0.7/√n times the longest side
    of the cloud. The spacing of n points on a surface is approximately 1/√n times this side, so
    neighbouring spheres overlap slightly for any n.

    Args:
        clouds: One or more clouds `(n, 3)` with n ≥ 1, of any scale.
        columns: Largest number of tiles in a row.
        labels: Captions, one per cloud. None means no captions.
        size: Width and height of a tile in pixels.
        up: Upward axis of the clouds. A z-up cloud is rotated to (x, z, −y) before it is drawn.
        colours: For each cloud, one sRGB colour `(3,)` or one colour per point `(n, 3)`. None
            colours the points by `height_colours`.
        direction: Direction from the cloud to the camera, in y-up axes.
        samples: Number of rays per pixel; see `render`.

    Returns:
        The sheet.

    Raises:
        InputError: If there are no clouds, an array has a wrong shape or is not finite, the number
            of labels or colours differs from the number of clouds, or the size or the number of
            columns is below 1.
    """
    if len(clouds) == 0:
        raise InputError("a sheet needs at least one cloud, got none")
    if up not in ("y", "z"):
        raise InputError(f"the upward axis of a cloud must be y or z, got {up!r}")
    if columns < 1:
        raise InputError(f"a sheet needs at least one column, got {columns}")
    for name, given in (("labels", labels), ("colours", colours)):
        if given is not None and len(given) != len(clouds):
            raise InputError(
                f"the number of {name} of a sheet must be {len(clouds)}, one per cloud, "
                f"got {len(given)}"
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
        tiles.append(tile if labels is None else captioned(tile, labels[index]))
    return arranged(tiles, columns)


def arranged(
    tiles: Sequence[Image], columns: int
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Arrange tiles of equal size row by row in one picture, which white tiles fill up.

    Args:
        tiles: Pictures, at least one.
        columns: Largest number of tiles in a row, at least 1.
    """
    columns = min(columns, len(tiles))
    tiles = [*tiles, *[np.full_like(tiles[0], 255)] * (-len(tiles) % columns)]
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.vstack(rows)


def captioned(image: Image, text: str) -> UInt8[np.ndarray, "taller width 3"]:
    """Add a caption of one line below a picture; a long text gets smaller letters.

    Args:
        image: The picture.
        text: Text of the caption.
    """
    from PIL import Image as pillow
    from PIL import ImageDraw, ImageFont

    text, width = " ".join(text.split()), image.shape[1]
    height = max(ceil(0.11 * width), 12)
    strip = pillow.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(strip)
    size = 0.55 * height
    length = draw.textlength(text, font=ImageFont.load_default(size))
    font = ImageFont.load_default(size * min(1, 0.92 * width / max(length, 1)))
    draw.text((width / 2, height / 2), text, fill=(60, 60, 60), font=font, anchor="mm")
    return np.vstack([image, np.asarray(strip)])
