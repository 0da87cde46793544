"""Draw a frozen set: one tile per case, with what a sampler sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datasets.frozen.folder import SHEET
from datasets.household.sheet import COLOURS, VIEW, draw_tile
from grasp.judging.benchmark import Case, load_set
from pcdiff.drawing.parts import Mesh, Part, Spheres, Vector
from pcdiff.drawing.png import save_png
from pcdiff.drawing.sheets import arranged

_TABLE: Vector = (0.80, 0.77, 0.72)
_ROW = 10
_THICK = 0.004  # metres of the table that are drawn


def write_sheet(folder: Path, advance: Callable[[], None] = lambda: None) -> Path:
    """Draw all cases of a set and write the picture to `sheet.png` in its folder.

    A cloud is drawn from the place of its camera. An object on a table is drawn in the frame of the
    table.

    Args:
        folder: Folder of the set.
        advance: Function that is called after each tile.

    Returns:
        The path of the picture.

    Raises:
        InputError: If the set cannot be read, or the file cannot be written.
    """
    cases = load_set(folder).cases
    groups = list(dict.fromkeys(case.group for case in cases))
    tiles = []
    for case in cases:
        colour = COLOURS[groups.index(case.group) % len(COLOURS)]
        parts, direction = _parts(case, colour)
        label = re.sub(r"_\d+_\d{5}", "", case.name)  # seed and index leave no room for the rest
        tiles.append(draw_tile(parts, label, direction, size=160, samples=2))
        advance()
    path = folder / SHEET
    save_png(path, arranged(tiles, _ROW if len(cases) > 40 else 6))
    return path


def _parts(case: Case, colour: Vector) -> tuple[list[Part], Vector]:
    x, y, z = VIEW.tolist()
    seen = case.seen
    if seen.faces is None:
        if case.viewpoint is not None:
            x, y, z = (case.viewpoint - case.truth.centre).tolist()
            x += 1e-3 * (abs(x) + abs(y) < 1e-3)  # the picture's upward direction is z
        return [Spheres(seen.vertices, 0.0012, colour)], (x, y, z)
    if case.T_table_object is None:
        return [Mesh(seen.vertices, seen.faces, colour)], (x, y, z)
    pose = case.T_table_object
    vertices = seen.vertices @ pose[:3, :3].T + pose[:3, 3]
    (low, high), edge = (vertices.min(axis=0), vertices.max(axis=0)), 0.02
    corners = np.array(
        np.meshgrid((low[0] - edge, high[0] + edge), (low[1] - edge, high[1] + edge), (-_THICK, 0))
    ).reshape(3, -1).T  # fmt: skip
    import trimesh

    table = trimesh.convex.convex_hull(corners)
    slab = Mesh(np.array(table.vertices), np.array(table.faces), _TABLE)
    return [slab, Mesh(vertices, seen.faces, colour)], (x, y, 0.5 * z)
