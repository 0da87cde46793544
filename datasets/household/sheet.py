"""Draw an overview of a set, the sheet: one image of tiles, each with a picture of one object."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from datasets.household.catalogue import Entry
from datasets.household.objects import FAMILIES
from datasets.household.shapes import Polyhedron
from grasp.objects.loading import load_object
from pcdiff.drawing.camera import frame
from pcdiff.drawing.parts import Image, Mesh, Part, Vector
from pcdiff.drawing.png import save_png
from pcdiff.drawing.rendering import render
from pcdiff.drawing.sheets import arranged, captioned

MOST_TILES = 80
"""Largest number of tiles on a sheet; the sheet of a larger set has only the first objects."""

VIEW = np.array([0.55, -1.0, 0.7])
"""Direction from an object with yaw 0 towards the camera; z is up."""

COLOURS: tuple[Vector, ...] = (
    (0.40, 0.60, 0.80),
    (0.85, 0.60, 0.42),
    (0.48, 0.70, 0.56),
    (0.80, 0.52, 0.56),
    (0.62, 0.56, 0.78),
    (0.76, 0.71, 0.45),
)


def draw_sheet(
    meshes: Sequence[Polyhedron],
    labels: Sequence[str],
    kinds: Sequence[str],
    yaws: Sequence[float],
    *,
    columns: int = 8,
    size: int = 200,
    samples: int = 3,
    advance: Callable[[], None] = lambda: None,
) -> Image:
    """Draw meshes row by row with z up, and scale each mesh to the size of its tile.

    Args:
        meshes: Surfaces to draw, at least one.
        labels: Caption of each mesh.
        kinds: Family of each mesh; meshes of one family have the same colour.
        yaws: Angle of each mesh around z in radians; the camera turns by the same angle.
        columns: Largest number of tiles in a row.
        size: Width and height of a picture in pixels, without the caption.
        samples: Number of samples per pixel, as in `pcdiff.drawing.rendering.render`.
        advance: Function that is called after each tile.
    """
    order = list(dict.fromkeys(kinds))
    tiles = []
    for mesh, label, kind, yaw in zip(meshes, labels, kinds, yaws, strict=True):
        colour = COLOURS[order.index(kind) % len(COLOURS)]
        x, y, z = VIEW.tolist()
        cosine, sine = math.cos(yaw), math.sin(yaw)
        view = (cosine * x - sine * y, sine * x + cosine * y, z)
        part = Mesh(mesh.vertices, mesh.faces, colour)
        tiles.append(draw_tile([part], label, view, size=size, samples=samples))
        advance()
    return arranged(tiles, columns)


def draw_tile(
    parts: Sequence[Part], label: str, direction: Vector, *, size: int = 200, samples: int = 3
) -> Image:
    """Draw one picture with its caption; z is up, and the parts fill the picture.

    Args:
        parts: Parts to draw, at least one.
        label: Caption.
        direction: Direction from the parts to the camera, not along z.
        size: Width and height of the picture in pixels, without the caption.
        samples: Number of samples per pixel, as in `pcdiff.drawing.rendering.render`.
    """
    camera = frame(parts, direction, up=(0.0, 0.0, 1.0), margin=0.1)
    picture = render(parts, camera, width=size, height=size, samples=samples)
    return captioned(picture, label)


def write_sheet(
    folder: Path, entries: Sequence[Entry], advance: Callable[[], None] = lambda: None
) -> Path:
    """Draw the first objects of a set, at most `MOST_TILES`, and write the image to `sheet.png`.

    Args:
        folder: Folder of the set.
        entries: Entries of the catalogue of the set.
        advance: Function that is called after each tile.

    Returns:
        The path of the image.

    Raises:
        InputError: If a mesh cannot be read, or the file cannot be written.
    """
    shown = entries[:MOST_TILES]
    meshes, labels, yaws = [], [], []
    for entry in shown:
        loaded = load_object(folder / entry.file)
        longest, grams = 100 * loaded.extent.max(), 1000 * entry.mass
        meshes.append(loaded)
        kind = entry.family if entry.family in FAMILIES else entry.name
        labels.append(f"{kind}, {longest:.0f} cm, {grams:.0f} g")
        yaws.append(float(entry.parameters.get("yaw", 0.0)))
    parts = [Polyhedron(each.vertices, each.faces) for each in meshes if each.faces is not None]
    image = draw_sheet(parts, labels, [entry.family for entry in shown], yaws, advance=advance)
    path = folder / "sheet.png"
    save_png(path, image)
    return path
