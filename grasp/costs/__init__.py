"""Differentiable costs of grasp poses, to guide a sampler or to plan with."""

from grasp.costs.terms import ApproachCone, Constraint, Cost, InBox, NearPoint

__all__ = ["ApproachCone", "Constraint", "Cost", "InBox", "NearPoint"]
