"""The stroke of free fingers: skipping it changes no outcome, and passes through no object."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from grasp.grippers.gripper import Gripper
from grasp.objects.object import Object
from grasp.physics import PROTOCOL, Conditions, Protocol, simulate
from grasp.physics.body import rigid_body
from grasp.physics.trial import World
from tests.physics.conftest import BOTH, box, hold

MASS = Conditions(mass=0.3)


def skipping(protocol: Protocol, *, skip: bool = True) -> Protocol:
    return dataclasses.replace(protocol, skip_free_stroke=skip)


def world(obj: Object, gripper: Gripper) -> World:
    return World(rigid_body(obj, obj.parts or (), 0.3, 300.0), gripper, 0.5, skipping(PROTOCOL))


@BOTH
@pytest.mark.parametrize("thickness", [0.001, 0.012, 0.03, 0.07])
def test_a_skipped_stroke_ends_like_a_simulated_one(
    panda: Gripper, thickness: float, protocol: Protocol
) -> None:
    poses = np.stack([hold(), hold((0.002, 0.001, 0.003)), hold((0.0, 0.1, 0.0))])
    simulated, skipped = (
        simulate(
            box(thickness, 0.05, 0.06), panda, poses, MASS, protocol=skipping(protocol, skip=skip)
        )
        for skip in (False, True)
    )
    assert simulated.failure.tolist() == skipped.failure.tolist() == ["", "", "missed"]
    np.testing.assert_allclose(skipped.width, simulated.width, atol=1e-5)


@pytest.mark.parametrize("side", [0.0005, 0.0039, 0.004, 0.0041, 0.0315, 0.079])
def test_the_fingers_start_just_beside_the_object(panda: Gripper, side: float) -> None:
    """Another step of 2 mm would bring a finger so near that it counts as touching."""
    near = world(box(side, 0.05, 0.05), panda)
    near.place(hold(), panda.stroke)
    near._approach()
    assert 0 <= (near.width() - side) / 2 <= 0.002 + PROTOCOL.contact_gap


def test_the_first_finger_that_touches_ends_the_skipped_stroke(panda: Gripper) -> None:
    near = world(box(0.01, 0.05, 0.05), panda)
    near.place(hold((0.02, 0.0, 0.0)), panda.stroke)  # a side is 25 mm from the middle of the hand
    near._approach()
    assert 0 <= near.width() / 2 - 0.025 <= 0.002 + PROTOCOL.contact_gap


@pytest.mark.parametrize("place", [-0.037, -0.0123, 0.0, 0.0071, 0.026, 0.035])
def test_no_finger_passes_through_a_plate_thinner_than_the_step(
    panda: Gripper, place: float
) -> None:
    plate = box(0.0008, 0.05, 0.05)
    near = world(plate, panda)
    near.place(hold((-place, 0.0, 0.0)), panda.stroke)
    near._approach()
    assert near.width() / 2 >= abs(place) + 0.0004
    trials = simulate(
        plate, panda, hold((-place, 0.0, 0.0))[None], Conditions(mass=1.0),
        protocol=skipping(PROTOCOL),
    )  # fmt: skip
    assert trials.failure.tolist() == [""]
    assert 0 < trials.width[0] <= 0.0008


@pytest.mark.parametrize("away", [(0.0, 0.05, 0.0), (0.0, 0.0, 0.3), (0.3, 0.0, 0.0)])
def test_a_hand_far_from_the_object_closes_on_nothing(
    panda: Gripper, away: tuple[float, float, float]
) -> None:
    trials = simulate(
        box(0.02, 0.04, 0.04), panda, hold(away)[None], MASS, protocol=skipping(PROTOCOL)
    )
    assert trials.failure.tolist() == ["missed"]
    assert trials.width[0] == pytest.approx(0.0, abs=2e-4)
