"""Training curves: what is drawn of a log."""

from __future__ import annotations

import csv
import io

import numpy as np
from PIL import Image

from pcdiff.drawing.curves import CURVE_COLOURS, Panel, draw_curves
from pcdiff.drawing.png import save_png


def middles(picture: np.ndarray, colour: str) -> tuple[np.ndarray, np.ndarray]:
    """The columns in which a colour appears, and its mean row in each of them."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    there = np.all(picture == wanted, axis=-1)
    columns = np.nonzero(there.any(axis=0))[0]
    rows = np.array([np.nonzero(there[:, column])[0].mean() for column in columns])
    return columns, rows


def test_curves_are_drawn_from_the_text_of_a_log(tmp_path):
    log = "step,train_loss,validation_loss,learning_rate\n" + "".join(
        f"{step},{10 ** (-step / 50)},{0.5 if step % 20 == 0 else ''},nan\n" for step in range(100)
    )
    picture = draw_curves(list(csv.DictReader(io.StringIO(log))), width=700, height=400)
    save_png(tmp_path / "curves.png", picture)
    with Image.open(tmp_path / "curves.png") as opened:
        drawn = np.asarray(opened)
    assert drawn.shape == (400, 700, 3)
    train, val = CURVE_COLOURS[:2]
    # All numbers are positive, so the axis is logarithmic and the exponential a falling line.
    columns, rows = middles(drawn[60:], train)
    slope, start = np.polyfit(columns, rows, 1)
    assert len(columns) > 500  # one panel only: the learning rate has no numbers
    assert slope > 0
    assert np.abs(rows - slope * columns - start).max() < 2
    # The empty cells do not interrupt the constant, which is a level line from end to end.
    columns, rows = middles(drawn[60:], val)
    assert len(columns) > 300
    assert np.ptp(rows) < 3


def test_a_panel_with_negative_numbers_is_linear():
    rows = [{"step": step, "train_loss": 1 - 0.02 * step} for step in range(100)]
    columns, heights = middles(draw_curves(rows, width=600, height=400)[60:], CURVE_COLOURS[0])
    slope, start = np.polyfit(columns, heights, 1)
    assert np.abs(heights - slope * columns - start).max() < 2


def test_other_columns_have_panels_of_their_own():
    rows = [{"step": step, "1-nna-cd": 80.0 - step, "cov-cd": 20.0 + step} for step in range(9)]
    panels = [Panel(("1-nna-cd",), "linear"), Panel(("cov-cd",), "log")]
    picture = draw_curves(rows, panels=panels, width=800, height=300)
    falling, rising = (
        middles(half[50:], CURVE_COLOURS[0])[1] for half in (picture[:, :400], picture[:, 400:])
    )
    assert falling[0] < falling[-1]
    assert rising[0] > rising[-1]
