"""The choice among settings of the physics, against numbers computed by hand."""

import dataclasses

import numpy as np
import pytest

from experiments.calibrate_protocol import RANGES, left_out, margin, protocol_of, setting_of
from grasp.physics import PROTOCOLS


def test_the_margin_is_the_smallest_over_all_bars():
    counts = {"can": 10, "drill": 30}
    figures = {"mug": 0.86, "table": 0.88, "can": 0.5, "drill": 0.8}  # recall 0.725
    assert margin(figures, counts) == pytest.approx(min(0.02 / 0.02, 0.03 / 0.02, 0.075 / 0.05))
    # Without the drill, the recall is that of the can: 0.15 below the bar.
    assert margin(figures, {"can": 10}) == pytest.approx(-0.15 / 0.05)


def test_an_object_that_is_left_out_does_not_choose():
    counts, bars = {"can": 10, "drill": 30}, {"recall": (0.0, 1.0)}
    rows = [{"can": 0.9, "drill": 0.1}, {"can": 0.2, "drill": 0.8}]
    # The drill chooses the second setting for the can; the can chooses the first for the drill.
    assert left_out(rows, counts, bars) == pytest.approx((10 * 0.2 + 30 * 0.1) / 40)


def test_a_setting_becomes_a_protocol():
    setting = {name: np.mean(bounds).item() for name, bounds in RANGES.items()}
    protocol = protocol_of(setting)
    factor = setting.pop("acceleration")
    assert {name: getattr(protocol, name) for name in setting} == setting
    assert [motion.acceleration for motion in protocol.motions] == pytest.approx(
        [factor * motion.acceleration for motion in PROTOCOLS["2"].motions]
    )
    assert not any(any(motion.gravity) for motion in protocol.motions)
    assert protocol.time_constant >= 2 * protocol.time_step  # MuJoCo raises shorter ones
    assert protocol.version not in PROTOCOLS


def test_protocol_3_is_one_of_the_settings():
    setting = setting_of(PROTOCOLS["3"])
    assert all(low <= setting[name] <= high for name, (low, high) in RANGES.items())
    assert dataclasses.replace(protocol_of(setting), version="3") == PROTOCOLS["3"]
