"""Functions that draw samples and grasps for several objects at once.

An accelerator evaluates the networks on the poses of all objects together, which saves time. A CPU
saves no time: the poses of one object are enough to use all its cores.
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
    """Draw samples `T_object_grasp` for several objects.

    The equivalent method for a single object is `ConditionedField.draw`.

    Args:
        fields: Conditioned fields, one per object. All must come from one trained field.
        count: Number of samples per object. The memory must have room for the samples of all
            objects together.
        generators: One generator per object. The samples of an object depend only on the generator
            of this object.
        sampling: Settings of the sampler.

    Raises:
        InputError: If `fields` is empty or comes from several trained fields, if the number of
            generators is not the number of objects, or for the reasons listed under
            `ConditionedField.draw`.
    """
    if len({id(each.model) for each in fields}) != 1:
        raise InputError(
            "a batch needs at least one object and a single trained field, got "
            f"{len(fields)} objects and {len({id(each.model) for each in fields})} trained fields"
        )
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
    """Draw samples for several objects, and choose grasps of each object from its samples.

    The grasps are chosen as in `ConditionedField.sample`, but samples are drawn only once.

    Args:
        fields: Conditioned fields, one per object. All must come from one trained field.
        count: Largest number of grasps per object.
        generators: One generator per object.
        sampling: Settings of the sampler.
        selection: Settings for choosing grasps. The setting `attempts` has no effect.

    Raises:
        InputError: For the reasons listed under `draw_batch`.
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
