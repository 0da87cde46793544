"""Export the cost and its gradient as `torch.export` programs, which run without this package.

A program holds the weights, the object and the gripper, and takes a fixed number of poses:

    program = exported_cost_and_gradient(conditioned, count=64, noise_level=0.1)
    torch.export.save(program, "cost.pt2")
    energies, gradients = program.module()(poses)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx.experimental.proxy_tensor import make_fx

from grasp.field.conditioned import ConditionedField
from pcdiff.manifolds.gradients import value_and_gradient


def exported_cost(
    field: ConditionedField, count: int, noise_level: float | None = None
) -> ExportedProgram:
    """Export `ConditionedField.cost` as a program that maps poses (count, 4, 4) to costs (count,).

    Args:
        field: Object and gripper.
        count: Number of poses.
        noise_level: As for `ConditionedField.cost`.

    Raises:
        InputError: If a condition listed for `ConditionedField.cost` is met.
    """
    return _exported(lambda poses: field.cost(poses, noise_level), field, count)


def exported_cost_and_gradient(
    field: ConditionedField, count: int, noise_level: float | None = None
) -> ExportedProgram:
    """Export `ConditionedField.cost_and_gradient` as a program.

    It maps poses (count, 4, 4) to costs (count,) and gradients (count, 6).

    Arguments and errors are those of `exported_cost`.
    """
    return _exported(
        lambda poses: value_and_gradient(
            lambda at: field.cost(at, noise_level), field.model.space, poses
        ),
        field,
        count,
    )


def _exported(function: Callable[[Tensor], Any], field: ConditionedField, count: int) -> Any:
    surface = field.condition.surface.points
    poses = torch.eye(4, dtype=surface.dtype, device=surface.device).repeat(count, 1, 1)
    # `torch.export` alone cannot follow a gradient that is taken inside the function, so its
    # operations are recorded first.
    return torch.export.export(make_fx(function)(poses), (poses,))
