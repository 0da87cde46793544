"""Draw samples and grasps for several objects at once.

On an accelerator the poses of all objects go through the networks together, which keeps it busy. A
CPU is already busy with one object's poses and gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.field.conditioned import ConditionedField
from grasp.field.model import Condition
from grasp.field.sampling import Sampling, levels_of, trajectory
from grasp.field.selection import Selection, select
from grasp.formats import Grasps
from pcdiff.errors import InputError
from pcdiff.randomness import spawn


def draw_batch(
    fields: Sequence[ConditionedField],
    count: int,
    generators: Sequence[torch.Generator],
    sampling: Sampling,
) -> Float[Tensor, "objects count 4 4"]:
    """Draw samples `T_object_grasp` for several objects, as `ConditionedField.draw` does for one.

    Args:
        fields: Conditioned fields, one per object, all made from the same trained field.
        count: Number of samples per object. The samples of all objects must fit into memory
            together.
        generators: One generator per object. The samples of an object depend on its own generator
            only.
        sampling: Settings of the sampler.

    Raises:
        InputError: If there are no objects, they belong to different trained fields, the number of
            generators is not the number of objects, or a condition listed for
            `ConditionedField.draw` is met.
    """
    if len({id(each.model) for each in fields}) != 1:
        raise InputError(f"expected at least one object, all of one field, got {len(fields)}")
    if len(generators) != len(fields):
        raise InputError(
            f"expected {len(fields)} generators, one per object, got {len(generators)}"
        )
    model = fields[0].model
    levels = levels_of(model, sampling)
    streams = [spawn(generator, count) for generator in generators]
    begin = [
        each.begin(count, levels, own, sampling) for each, own in zip(fields, streams, strict=True)
    ]
    condition = Condition.stack([each.condition for each in fields])
    every = [generator for own in streams for generator in own]
    for state in trajectory(model, condition, torch.cat(begin), sampling, every):
        last = state.x
    samples = last.double().unflatten(0, (len(fields), count))
    return torch.stack([each.in_file_frame(own) for each, own in zip(fields, samples, strict=True)])


def sample_batch(
    fields: Sequence[ConditionedField],
    count: int,
    generators: Sequence[torch.Generator],
    sampling: Sampling,
    selection: Selection,
) -> list[Grasps]:
    """Sample grasps of each object, chosen as in `ConditionedField.sample` from its first samples.

    Args:
        fields: As for `draw_batch`.
        count: Largest number of grasps per object.
        generators: As for `draw_batch`.
        sampling: Settings of the sampler.
        selection: Settings for choosing grasps. Its `attempts` are ignored: samples are drawn once.

    Raises:
        InputError: If a condition listed for `draw_batch` is met.
    """
    drawn = draw_batch(fields, math.ceil(count * selection.oversampling), generators, sampling)
    found = []
    for each, poses in zip(fields, drawn, strict=True):
        if not each.can_hold:
            found.append(each.refusal())
            continue
        samples = each.assess(poses)
        order = select(samples, count, selection, each.gripper.tool_center_point)
        found.append(each.chosen(samples, order, count, selection))
    return found
