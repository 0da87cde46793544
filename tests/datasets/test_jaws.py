"""Random jaws: valid, different, the same for the same seed."""

from __future__ import annotations

import json

import numpy as np

from datasets.jaws import jaw, main, write_jaws
from grasp.field.networks.probes import probes
from grasp.grippers.gripper import load_gripper


def test_every_jaw_is_a_gripper_that_a_field_accepts(tmp_path):
    for index, path in enumerate(write_jaws(tmp_path, 30, 5)):
        hand = load_gripper(path)
        assert hand.sha256 == jaw(5, index).sha256
        probes(hand)
        low, high = hand.pad
        assert low < hand.tool_center_point[2] < high
        palm = hand.hand_boxes[0].centre[2] + hand.hand_boxes[0].half_extents[2]
        assert low > palm and np.isclose(palm + hand.finger_length, high)


def test_jaws_are_spread_over_their_ranges():
    hands = [jaw(0, index) for index in range(200)]
    strokes = np.array([hand.stroke for hand in hands])
    assert 0.04 <= strokes.min() < 0.045 and 0.145 < strokes.max() <= 0.16
    # The logarithm is uniform: its median is the middle.
    assert abs(np.median(np.log(strokes)) - np.log(0.08)) < 0.12
    lengths = [hand.finger_length for hand in hands]
    assert abs(np.corrcoef(strokes, lengths)[0, 1]) < 0.2


def test_a_longer_set_keeps_the_jaws_of_a_shorter_one(tmp_path, capsys):
    for name, count in (("short", 2), ("long", 4)):
        arguments = [
            "--output",
            str(tmp_path / name),
            "--count",
            str(count),
            "--seed",
            "3",
            "--json",
        ]
        try:
            main(arguments)
        except SystemExit as end:
            assert end.code == 0
        assert len(json.loads(capsys.readouterr().out)["results"]["jaws"]) == count
    for path in (tmp_path / "short").glob("*.toml"):
        assert (tmp_path / "long" / path.name).read_bytes() == path.read_bytes()
