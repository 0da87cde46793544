"""Training curves, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from math import isfinite
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from pcdiff.drawing.parts import Image
from pcdiff.errors import InputError

CURVE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Colours of the curves, which colour-blind readers can distinguish (Okabe & Ito 2008)."""


class Panel(NamedTuple):
    """One diagram of training curves.

    Attributes:
        columns: Columns of the metrics log to draw.
        scale: Scale of the vertical axis; None means logarithmic if all numbers are positive, and
            linear otherwise.
    """

    columns: tuple[str, ...]
    scale: Literal["log", "linear"] | None = None


LOSS_AND_RATE = (Panel(("train_loss", "validation_loss")), Panel(("learning_rate",), "linear"))
"""The panels for a training run: the losses and the learning rate."""


def draw_curves(
    rows: Iterable[Mapping[str, Any]],
    *,
    panels: Sequence[Panel] = LOSS_AND_RATE,
    width: int = 1200,
    height: int = 450,
) -> Image:
    """Draw training curves over the column `step`, with the panels side by side.

    Args:
        rows: Rows of the metrics log, e.g. from `csv.DictReader`. A cell is a number or the text
            of a number. An empty cell, None, NaN or infinity is skipped, and lines connect the
            remaining points.
        panels: Panels to draw. Columns without numbers and panels without columns are left out.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        The picture.

    Raises:
        InputError: If there are no numbers to draw, a step is missing, a cell is not a number, a
            logarithmic axis has a number that is not positive, or matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "drawing curves needs matplotlib, which is not installed: install pcdiff-grasp[curves]"
        ) from error

    rows = list(rows)
    steps = _column(rows, "step")
    if not np.isfinite(steps).all():
        raise InputError(
            "each row of a metrics log must have a finite number in the column step, "
            f"got none in row {int(np.argmin(np.isfinite(steps))) + 1}"
        )
    drawn = []
    for panel in panels:
        curves = {name: _column(rows, name) for name in panel.columns}
        curves = {name: values for name, values in curves.items() if np.isfinite(values).any()}
        if curves:
            drawn.append((curves, panel.scale))
    if not drawn:
        names = ", ".join(name for panel in panels for name in panel.columns)
        raise InputError(
            f"a metrics log needs numbers in at least one of the columns {names}, got none"
        )

    dpi = 150
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    for axes, (curves, scale) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        lowest, name = min((np.nanmin(values), name) for name, values in curves.items())
        if scale == "log" and lowest <= 0:
            raise InputError(
                f"a logarithmic axis needs positive numbers, got {lowest} in the column {name}"
            )
        axes.set_yscale(scale or ("log" if lowest > 0 else "linear"))
        for (name, values), colour in zip(curves.items(), cycle(CURVE_COLOURS), strict=False):
            there = np.isfinite(values)
            few = np.count_nonzero(there) <= 40
            axes.plot(
                steps[there],
                values[there],
                color=colour,
                linewidth=1.5,
                marker="o" if few else "",
                markersize=3.5,
                label=name.replace("_", " "),
            )
        axes.set_xlabel("step")
        axes.grid(visible=True, which="major", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        # Above the axes, the legend hides no curve.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(curves), frameon=False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> Float[np.ndarray, " rows"]:
    """Return the numbers of a column, with NaN for cells without a finite number."""
    values = np.full(len(rows), np.nan)
    for index, row in enumerate(rows):
        cell = row.get(name)
        if cell is None or cell == "":
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"the column {name} of a metrics log must contain numbers, "
                f"got {cell!r} in row {index + 1}"
            ) from error
        if isfinite(number):
            values[index] = number
    return values
