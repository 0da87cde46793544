"""The sheet of an evaluation: one tile of fixed size per case, in the order of the report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grasp.judging.benchmark import Case
from grasp.judging.report import Judgement, Report, Stamp
from grasp.judging.sheet import draw_sheet
from grasp.objects.object import Object
from pcdiff.errors import InputError
from tests.physics.conftest import box, hold

OBJECTS = [box(0.03, 0.03, 0.03 + 0.001 * index) for index in range(5)]
WIDTH, HEIGHT, CAPTION = 240, 267, 27


def judgement(name, success, *, robust=None, fits=True):
    success = np.array(success, bool)
    return Judgement(
        name=name, group=name, sha256="0" * 64, candidates=10, positives=10 * fits, fits=fits,
        poses=np.tile(hold(), (len(success), 1, 1)), success=success, probability=None,
        failures={}, measured={} if robust is None else {"robust": np.array(robust)},
        cpu_seconds=0.0, curve=None, covered_at_base=None, distance=None, pairs=0, reason=None,
        protocol="7", friction=0.5, warning=None,
    )  # fmt: skip


def report_of(*judgements):
    return Report(tuple(judgements), {}, Stamp("panda", "test", 10, 10, 0, {}))


def tile(sheet, row, column):
    return sheet[HEIGHT * row : HEIGHT * (row + 1), WIDTH * column : WIDTH * (column + 1)]


def caption(image):
    return image[-CAPTION:]


def pixels(image, channel):
    """The number of pixels in which a colour is clearly the strongest."""
    others = np.delete(image.astype(int), channel, axis=2).max(axis=2)
    return int((image[:, :, channel].astype(int) > others + 40).sum())


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3)])
def test_there_is_one_tile_for_each_case(panda, count, rows, columns):
    report = report_of(*(judgement(f"object-{i}", [True]) for i in range(count)))
    sheet = draw_sheet(report, OBJECTS[:count], panda)
    assert sheet.shape == (HEIGHT * rows, WIDTH * columns, 3)
    assert sheet.dtype == np.uint8
    tiles = [tile(sheet, *divmod(index, columns)) for index in range(rows * columns)]
    drawn = [bool((each[:-CAPTION] < 255).any()) for each in tiles]
    written = [bool((caption(each) < 128).any()) for each in tiles]
    assert drawn == written == [True] * count + [False] * (rows * columns - count)


def test_colours_and_captions_state_the_outcomes(panda):
    held, lost = judgement("held", [True]), judgement("lost", [False])
    sheet = draw_sheet(report_of(held, lost), [OBJECTS[0]] * 2, panda)
    good, bad = tile(sheet, 0, 0), tile(sheet, 0, 1)
    assert pixels(good, 1) > 50 and pixels(good, 0) == 0  # green
    assert pixels(bad, 0) > 50 and pixels(bad, 1) == 0  # red
    assert not np.array_equal(caption(good), caption(bad))
    # Robust success takes the place of success.
    robustly = dataclasses.replace(held, measured={"robust": np.zeros(1)}, name="lost")
    assert np.array_equal(draw_sheet(report_of(robustly), OBJECTS[:1], panda), bad)
    # The mean is over all grasps, but only the 12 best ranked grasps are drawn.
    many = judgement("held", [True] * 12 + [False] * 12)
    first = judgement("held", [True] * 12)
    all_of_them, best = (draw_sheet(report_of(each), OBJECTS[:1], panda) for each in (many, first))
    assert np.array_equal(all_of_them[:-CAPTION], best[:-CAPTION])
    assert not np.array_equal(caption(all_of_them), caption(best))
    unfit = draw_sheet(report_of(dataclasses.replace(held, fits=False)), OBJECTS[:1], panda)
    assert np.array_equal(unfit[:-CAPTION], good[:-CAPTION])
    assert not np.array_equal(caption(unfit), caption(good))


def test_an_object_on_a_table_is_drawn_as_it_rests(panda):
    """A mesh that is turned in its file, and turned back on the table, gives the same picture."""
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    plain = box(0.03, 0.05, 0.08)
    tilted = Object.from_mesh(plain.vertices @ turn.T, plain.faces)
    T_table_object = np.eye(4)
    T_table_object[:3, :3], T_table_object[:3, 3] = turn.T, [0.2, -0.1, 0.04]
    held = judgement("held", [True])
    pose = held.poses.copy()
    pose[:, :3] = turn @ held.poses[:, :3]
    upright = draw_sheet(report_of(held), [plain], panda).astype(int)
    there = report_of(dataclasses.replace(held, poses=pose))
    case = Case("held", "held", tilted, tilted, T_table_object=T_table_object)
    # The grain of the soft shadows depends on the frame, so the pictures are equal on average.
    assert np.abs(draw_sheet(there, [case], panda) - upright).mean() < 1
    assert np.abs(draw_sheet(there, [tilted], panda) - upright).mean() > 10


def test_an_object_without_grasps_is_drawn_alone(panda):
    sheet = draw_sheet(report_of(judgement("none", [])), OBJECTS[:1], panda)
    assert sheet.shape == (HEIGHT, WIDTH, 3)
    assert (sheet[:-CAPTION] < 255).any() and (caption(sheet) < 128).any()
    assert pixels(sheet, 0) == pixels(sheet, 1) == 0


def test_a_sheet_of_another_number_of_objects_is_refused(panda):
    with pytest.raises(InputError, match="needs 2 objects, one per judgement, got 1"):
        draw_sheet(report_of(judgement("a", [True]), judgement("b", [True])), OBJECTS[:1], panda)
