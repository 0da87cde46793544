"""Differentiable costs of grasp poses, to guide a sampler or to plan with."""

from grasp.costs.terms import ApproachCone, Both, Constraint, Cost, InBox, NearPoint, total

__all__ = ["ApproachCone", "Both", "Constraint", "Cost", "InBox", "NearPoint", "total"]
