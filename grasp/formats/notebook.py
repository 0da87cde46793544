"""What a notebook shows of grasps: a data frame, and a table and a picture in HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from pcdiff.errors import InputError

ROWS = 5
"""Largest number of grasps in an HTML table."""

MOST_DRAWN = 12
"""Largest number of grasps in a picture."""

MOST_DETAIL = 500_000
"""Largest number of vertices of an object that is drawn. A larger object would take seconds."""

_HEADINGS: dict[str, tuple[str, str]] = {
    "success_probability": ("probability", "{:.2f}"),
    "energy": ("energy", "{:.2f}"),
    "width": ("opening (m)", "{:.3f}"),
    "in_collision": ("in collision", "{}"),
    "success": ("holds", "{}"),
    "failure": ("failure", "{}"),
}
"""Heading of a column, and the format of its entries."""


def data_frame(poses: Float[np.ndarray, "grasps 4 4"], arrays: Mapping[str, np.ndarray]) -> Any:
    """Return a `pandas.DataFrame` with one row per grasp.

    Args:
        poses: Poses, translations in metres.
        arrays: Columns after the pose.

    Raises:
        InputError: If pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise InputError(
            "a data frame needs the package pandas, which is not installed: pip install pandas"
        ) from error
    from scipy.spatial.transform import Rotation

    turns = np.empty((0, 4))
    if len(poses):
        turns = Rotation.from_matrix(poses[:, :3, :3]).as_quat()  # the scalar comes last
    columns = {
        **{name: poses[:, axis, 3] for axis, name in enumerate("xyz")},
        **{f"q{name}": turns[:, part] for part, name in enumerate("xyzw")},
        **arrays,
    }
    return pandas.DataFrame(columns)


def html_table(poses: Float[np.ndarray, "grasps 4 4"], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the first `ROWS` grasps as an HTML table.

    Args:
        poses: Poses, translations in metres.
        arrays: Further columns, of which those in `_HEADINGS` are shown.
    """
    shown = [name for name in _HEADINGS if name in arrays]
    headings = ["", "x, y, z (m)", *(_HEADINGS[name][0] for name in shown)]
    rows = [_row("th", headings)]
    for index, pose in enumerate(poses[:ROWS]):
        position = ", ".join(f"{metres:.3f}" for metres in pose[:3, 3])
        values = (_HEADINGS[name][1].format(arrays[name][index]) for name in shown)
        rows.append(_row("td", [str(index), position, *values]))
    if len(poses) > ROWS:
        rows.append(_row("td", ["…", *[""] * (len(headings) - 1)]))
    return f"<table>{''.join(rows)}</table>"


def html_picture(
    obj: Object,
    hand: Gripper,
    poses: Float[np.ndarray, "grasps 4 4"],
    arrays: Mapping[str, np.ndarray],
) -> str:
    """Draw an object with some of its grasps, as an HTML element; takes about half a second.

    Args:
        obj: The object.
        hand: The gripper.
        poses: Poses, translations in metres.
        arrays: Arrays with one entry per grasp. The colours show `success` if it is known, else
            `success_probability`.
    """
    if len(obj.vertices) > MOST_DETAIL:
        return "<p>(The object is too detailed for a quick picture.)</p>"
    from grasp.pictures import (
        PictureSettings,
        draw_grasps,
        evenly,
        outcome_colours,
        probability_colours,
    )
    from pcdiff.drawing.png import png_bytes

    shown = evenly(len(poses), MOST_DRAWN)
    colours = None
    if "success" in arrays:
        colours = outcome_colours(arrays["success"][shown])
    elif "success_probability" in arrays:
        colours = probability_colours(arrays["success_probability"][shown])
    settings = PictureSettings(width=420, height=320, samples=2)
    image = draw_grasps(obj, hand, poses[shown], colours=colours, settings=settings)
    data = base64.b64encode(png_bytes(image)).decode()
    return f'<img alt="the object with its grasps" src="data:image/png;base64,{data}">'


def _row(kind: str, cells: list[str]) -> str:
    return f"<tr>{''.join(f'<{kind}>{html.escape(cell)}</{kind}>' for cell in cells)}</tr>"
