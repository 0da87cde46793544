"""The steps of a trial in any engine: close the hand, then shake the object."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from grasp.physics.protocol import Motion, Protocol

Failure = Literal["", "collision", "missed", "dropped", "unstable"]


class Outcome(NamedTuple):
    """Outcome of one trial.

    Attributes:
        failure: "" for a successful grasp, or the cause of the failure. `collision`: the open hand
            overlaps the object. `missed`: a finger of the closed hand does not touch the object.
            `dropped`: a finger lost the object during shaking. `unstable`: the simulation diverged.
        width: Final opening between the pads in metres.
    """

    failure: Failure
    width: float


class Procedure(ABC):
    """A trial under a protocol; a subclass is the world of an engine.

    Args:
        protocol: Protocol of the trials.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def close(self) -> Failure:
        """Close the hand.

        Returns:
            "" if both fingers touch the object, otherwise `missed` or `unstable`.
        """
        protocol = self._protocol
        self.begin_closing()
        squeezed = 0.0
        seconds = self.width() / 2 / protocol.closing_speed + protocol.squeeze_time
        for _ in range(math.ceil(seconds / protocol.check_interval)):
            self.step(protocol.check_interval)
            if self.settled() or squeezed >= protocol.squeeze_time:
                break
            if protocol.skip_free_stroke and self.touched().all():
                squeezed += protocol.check_interval
        return self.failure_now("missed")

    def shake(self, motions: tuple[Motion, ...] | None = None) -> Failure:
        """Shake the object.

        Args:
            motions: Motions in their order. None means those of the protocol.

        Returns:
            "" if both fingers touch the object after every motion, otherwise `dropped` or
            `unstable`.
        """
        for motion in self._protocol.motions if motions is None else motions:
            for sign in (1.0, -1.0, -1.0, 1.0):
                self.accelerate(motion, sign)
                self.step(motion.duration / 4)
            failure = self.failure_now("dropped")
            if failure:
                return failure
        return ""

    def settled(self) -> bool:
        """Test whether the fingers rest, and the object rests or the pads touch each other."""
        protocol = self._protocol
        if self.finger_speed() > protocol.settled_speed:
            return False
        velocity, spin = self.object_motion()
        still = (
            np.abs(velocity).max() < protocol.settled_speed
            and np.abs(spin).max() < protocol.settled_spin
        )
        return bool(still) or self.width() < protocol.shut

    def failure_now(self, failure: Failure) -> Failure:
        """Check whether both fingers touch the object at this moment.

        Args:
            failure: Name of the failure to return if a finger does not touch the object.

        Returns:
            "" if both fingers touch the object, `unstable` if the simulation has diverged,
            otherwise `failure`.
        """
        if self.diverged():
            return "unstable"
        return "" if self.touched().all() else failure

    @abstractmethod
    def begin_closing(self) -> None:
        """Let the fingers close with their full force from now on."""

    @abstractmethod
    def accelerate(self, motion: Motion, sign: float) -> None:
        """Set the acceleration and the gravity of a motion for the next steps.

        Args:
            motion: Motion of the hand.
            sign: Sign of the acceleration, 1 or -1.
        """

    @abstractmethod
    def step(self, seconds: float) -> None:
        """Advance the simulation.

        Args:
            seconds: Simulated time to advance in seconds, rounded to a whole number of steps.
        """

    @abstractmethod
    def width(self) -> float:
        """Return the opening between the pads in metres."""

    @abstractmethod
    def finger_speed(self) -> float:
        """Return the speed of the faster finger in m/s."""

    @abstractmethod
    def object_motion(self) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"]]:
        """Return the velocity of the object in m/s and its spin in rad/s."""

    @abstractmethod
    def touched(self) -> Bool[np.ndarray, "2"]:
        """Return which of the two fingers touch the object."""

    @abstractmethod
    def diverged(self) -> bool:
        """Test whether the simulation has diverged."""
