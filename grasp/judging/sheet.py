"""A sheet of pictures of an evaluation: every object with its best ranked grasps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from grasp.grippers.gripper import Gripper
from grasp.judging.benchmark import Case
from grasp.judging.report import Judgement, Report
from grasp.objects.object import Object
from grasp.pictures import PictureSettings, draw_grasps, probability_colours
from pcdiff.drawing.parts import Image
from pcdiff.drawing.sheets import arranged, captioned
from pcdiff.errors import InputError

_MOST_TILES = 60
_SIZE = 240  # pixels along each side of a tile
_SHOWN = 12  # grasps per tile


def draw_sheet(report: Report, objects: Sequence[Object | Case], gripper: Gripper) -> Image:
    """Draw the objects of an evaluation with their 12 best ranked grasps.

    A grasp is green if it succeeds in all draws and red if it succeeds in none; without robust
    trials, it is green or red for success or failure. The caption states the name and the mean
    robust success or the success of all grasps. An object on a table is drawn as it rests there,
    without the table. At most 60 objects are drawn.

    Args:
        report: The evaluation.
        objects: Objects or cases of the evaluation, in the same order.
        gripper: The gripper.

    Raises:
        InputError: If the numbers of objects and of judgements differ.
    """
    if len(objects) != len(report.judgements):
        raise InputError(
            f"a sheet needs {len(report.judgements)} objects, one per judgement, got {len(objects)}"
        )
    tiles = [
        _tile(*_posed(each), judgement, gripper)
        for each, judgement in zip(objects[:_MOST_TILES], report.judgements, strict=False)
    ]
    return arranged(tiles, max(1, round(math.sqrt(1.5 * len(tiles)))))


def _posed(each: Object | Case) -> tuple[Object, Float[np.ndarray, "3 3"]]:
    """Return an object and the rotation from its frame to a frame in which z points up."""
    if isinstance(each, Object):
        return each, np.eye(3)
    return each.truth, np.eye(3) if each.T_table_object is None else each.T_table_object[:3, :3]


def _tile(
    obj: Object, upright: Float[np.ndarray, "3 3"], judgement: Judgement, gripper: Gripper
) -> Image:
    worth = judgement.measured.get("robust", judgement.success.astype(float))
    image = draw_grasps(
        obj,
        gripper,
        judgement.poses[:_SHOWN],
        colours=probability_colours(worth[:_SHOWN]),
        style="fork",
        settings=PictureSettings(
            direction=_row(np.array(PictureSettings.direction) @ upright),
            up=_row(upright[2]),
            width=_SIZE,
            height=_SIZE,
            samples=4,
        ),
    )
    if len(worth):
        text = f"{judgement.name}: {100 * worth.mean():.0f} %"
    else:
        text = f"{judgement.name}: no grasp"
    if not judgement.fits:
        text += ", does not fit"
    return captioned(image, text)


def _row(vector: Float[np.ndarray, "3"]) -> tuple[float, float, float]:
    x, y, z = vector.tolist()
    return x, y, z
