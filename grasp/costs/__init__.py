"""Differentiable costs of grasp poses, which guide a sampler or a planner."""

from grasp.costs.terms import ApproachCone, AwayFromPoint, Constraint, Cost, InBox, NearPoint

__all__ = ["ApproachCone", "AwayFromPoint", "Constraint", "Cost", "InBox", "NearPoint"]
