"""The meaning of the columns in a table of points: x, y, z, normals, colours and other values.

A first line may name the columns. Otherwise the first three columns are x, y and z, and three more
columns are normals only if their numbers show it. Columns of any other meaning are ignored. A
remark says how the columns were read, because a wrong guess would change the object silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")

_ALIASES = {
    **{f"points:{axis}": name for axis, name in enumerate(POSITION)},
    **{f"normals:{axis}": name for axis, name in enumerate(NORMAL)},
    **{f"normal_{axis}": f"n{axis}" for axis in POSITION},
    **{f"normal{axis}": f"n{axis}" for axis in POSITION},
}

_OTHERS = {"r", "g", "b", "red", "green", "blue", "rgb", "rgba", "intensity", "reflectance"}

_UNIT_WITHIN = 0.01
"""Largest accepted difference of a normal's length from 1."""


def column_names(line: str) -> tuple[str, ...] | None:
    """Read the names of columns from a line such as `X Y Z` or `"Points:0","Points:1","Points:2"`.

    Returns:
        The names in lower case without units in brackets, with the names of coordinates and normals
        unified to x, y, z, nx, ny and nz; None if the line names no column that this module knows.
    """
    plain = re.sub(r"[\[(][^\])]*[\])]|[\"']", "", line).lower().strip(" ,;")
    words = re.split("[,;]", plain) if "," in plain or ";" in plain else plain.split()
    names = tuple(_ALIASES.get(word.strip(), word.strip()) for word in words)
    return names if {*POSITION, *NORMAL, *_OTHERS} & set(names) else None


def chosen_columns(width: int, names: Sequence[str] | None) -> list[int]:
    """Return the indices of the columns to keep: x, y, z, and three that are or may be normals."""
    if names is None:
        return [*range(6 if width == 6 else 3)]
    wanted = (*POSITION, *NORMAL) if set(NORMAL) <= set(names) else POSITION
    return [names.index(name) for name in wanted]


def understood(
    table: Float[np.ndarray, "points columns"], width: int, names: Sequence[str] | None
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"] | None, tuple[str, ...]]:
    """Split the kept columns into points and normals.

    Args:
        table: The columns that `chosen_columns` lists.
        width: Number of columns in the file.
        names: Names of all columns in the file; None if the file does not name them.

    Returns:
        The points, their normals or None, and remarks that say how the columns were read.
    """
    points = table[:, :3]
    if names is not None:
        normals = table[:, 3:] if table.shape[1] == 6 else None
        read = POSITION if normals is None else (*POSITION, *NORMAL)
        ignored = [name for name in names if name not in read]
        if not ignored and normals is None:
            return points, None, ()
        rest = f"; {', '.join(ignored)} ignored" if ignored else ""
        return points, normals, (f"the first line names the columns {' '.join(read)}{rest}",)
    if width == 3:
        return points, None, ()
    if width == 6:
        reason = _why_no_normals(table[:, 3:])
        if reason is None:
            remark = "read columns 1 to 3 as x y z, and columns 4 to 6 as normals"
            return points, table[:, 3:], (remark,)
        what = f"ignored columns 4 to 6, which are no normals: {reason}"
    else:
        columns = "column 4" if width == 4 else f"columns 4 to {width}"
        what = f"ignored {columns}, such as intensity or colour"
    return points, None, (f"read columns 1 to 3 as x y z, and {what}",)


def _why_no_normals(values: Float[np.ndarray, "points 3"]) -> str | None:
    """Say why three columns cannot be normals; None if they must be normals.

    Colours from 0 to 1 have length 1 in every row only if all rows are the same colour, or if they
    consist of zeros and ones. So the normals of a box of which a camera saw three sides are taken
    for colours, unless a first line names the columns; a cloud without normals gets estimated ones.
    """
    known = values[np.isfinite(values).all(axis=1) & values.any(axis=1)]
    if 2 * len(known) <= len(values):
        return "most rows are zero or not finite"
    lengths = np.linalg.norm(known, axis=1)
    if (np.abs(lengths - 1) > _UNIT_WITHIN).any():
        return f"they have lengths from {lengths.min():.3g} to {lengths.max():.3g} instead of 1"
    if not np.ptp(known, axis=0).max() > _UNIT_WITHIN:
        return "they are the same in every row, like one colour"
    if np.isin(known, (0, 1)).all():
        return "they consist of zeros and ones, like pure colours"
    return None
