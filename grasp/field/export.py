"""Export of a field's cost and gradient as `torch.export` programs.

The programs run without this package.

Each program contains the weights, the object's surface and the gripper's probes. A program takes a
fixed number of poses:

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
        field: Grasp field, conditioned on the object and the gripper of the program.
        count: Number of poses that the program takes.
        noise_level: Noise level σ; see `ConditionedField.cost`.

    Raises:
        InputError: For the reasons listed under `ConditionedField.cost`.
    """
    return _exported(lambda poses: field.cost(poses, noise_level), field, count)


def exported_cost_and_gradient(
    field: ConditionedField, count: int, noise_level: float | None = None
) -> ExportedProgram:
    """Export `ConditionedField.cost_and_gradient` as a program.

    The program maps poses (count, 4, 4) to costs (count,) and gradients (count, 6).

    Args:
        field: Grasp field, conditioned on the object and the gripper of the program.
        count: Number of poses that the program takes.
        noise_level: Noise level σ; see `ConditionedField.cost`.

    Raises:
        InputError: For the reasons listed under `ConditionedField.cost`.
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
    # `torch.export` alone cannot follow a gradient that is computed inside the function. So
    # `make_fx` records the operations of the function first.
    return torch.export.export(make_fx(function)(poses), (poses,))
