"""Digests that are stored with labels must not change when the code changes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grasp.digest import digest
from grasp.grippers.gripper import load_gripper
from grasp.objects.object import Object
from grasp.physics import label_digests
from grasp.physics.decomposition import SETTINGS
from tests.physics.conftest import box


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("panda", "0c03bd3c6f41459b75e6dfd118bbeef58a64966f63e802d37da11dc337a6ee51"),
        ("robotiq_2f_85", "f032bd06dcbf0a8d9f2bfa48df5e958161869b7bb650d37f5dd5bcbb27867831"),
        ("robotiq_2f_140", "dfc198720018d69a71fbc95aaf7a415c0da315d75cb7df8cef4b43a8f9496f4d"),
    ],
)
def test_a_gripper_has_the_digest_that_label_files_hold(name: str, known: str) -> None:
    gripper = load_gripper(name)
    assert label_digests(box(0.03, 0.03, 0.03), gripper)["gripper_sha256"] == known
    other = dataclasses.replace(gripper, max_force=1.0)
    assert label_digests(box(0.03, 0.03, 0.03), other)["gripper_sha256"] != known


def test_convex_parts_have_the_digest_that_label_files_hold() -> None:
    vertices = np.array([[0.0, 0.0, 0.0], [0.03, 0.0, 0.0], [0.0, 0.04, 0.0], [0.0, 0.0, 0.05]])
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    known = "2db3d9115bb23c907d28ddbf495cbde7e0fcbf83001d6f82021d4277a7550376"
    assert digest(((vertices, faces),)) == known
    panda = load_gripper("panda")
    whole = Object.from_mesh(vertices, faces)
    exact = Object.from_mesh(vertices, faces, parts=((vertices, faces),))
    assert label_digests(exact, panda)["parts"] == {"sha256": known}
    assert label_digests(whole, panda)["parts"] == {"cover": SETTINGS}
