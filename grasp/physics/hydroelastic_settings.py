"""The settings of the second engine that the protocol of a trial does not state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hydroelastic:
    """The settings that Drake needs and the protocol does not state.

    Args:
        version: Version of these settings, which every result records.
        steps: Number of time steps of the protocol that make one step of Drake's discrete solver
            (SAP, "lagged" approximation). The solver is implicit, so its steps may be longer.
        modulus: Hydroelastic modulus of the hand's boxes in pascals: the pressure at the middle of
            a box, from 0 at its surface.
        dissipation: Hunt and Crossley's dissipation in s/m. A contact that separates at 1 divided
            by this speed exerts no force.
        friction: Factor of the coefficient of friction. Drake's friction does not creep, so a
            factor below 1 can stand in for the creep of MuJoCo's.
    """

    version: str
    steps: int
    modulus: float
    dissipation: float
    friction: float


HYDROELASTIC = Hydroelastic(version="1", steps=2, modulus=3e7, dissipation=10.0, friction=0.5)
"""The settings of all checks in this package.

Modulus and friction were chosen among 10 pairs by 60 grasps of the tuning half of each of ACRONYM's
mug and table and by 36 published grasps of YCB objects, under a draft of protocol 3, and not by the
outcomes in MuJoCo. Under the final protocol 3 they still agree best with the mug and the table,
among six pairs. A stiffer hand holds more grasps, lower friction fewer.
"""
