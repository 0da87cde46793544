"""Samples and grasps of several objects at once.

The poses of all objects go through the networks together, which keeps an accelerator busy; a CPU is
busy with those of one object, and gains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from grasp.field.conditioned import ConditionedField, levels_of
from grasp.field.model import Condition
from grasp.field.networks.probes import Probes
from grasp.field.networks.surface import Surface
from grasp.field.sampling import Sampling
from grasp.field.selection import judge, refusal, select
from grasp.formats import Grasps
from pcdiff.diffusion.samplers import sample
from pcdiff.diffusion.schedules import Level
from pcdiff.errors import InputError
from pcdiff.randomness import spawn


@torch.inference_mode(False)
@torch.no_grad()
def draw_batch(
    fields: Sequence[ConditionedField],
    count: int,
    generators: Sequence[torch.Generator],
    how: Sampling,
) -> Float[Tensor, "objects count 4 4"]:
    """As many samples of each object, `T_object_grasp`, as `ConditionedField.draw` gives them.

    Args:
        fields: objects and grippers, of one `GraspField`.
        count: samples of each; those of all objects must fit the memory together.
        generators: one an object, whose samples depend on it and on no other.
        how: to sample.

    Raises:
        InputError: there is no object, they are of several fields, there are not as many
            generators, or as for `ConditionedField.draw`.
    """
    if len({id(each.field) for each in fields}) != 1:
        raise InputError(f"expected some objects of one field, got {len(fields)}, not of one")
    if len(generators) != len(fields):
        raise InputError(f"expected {len(fields)} generators, one an object, got {len(generators)}")
    field, levels = fields[0].field, levels_of(fields[0].field, how)
    of_samples = [spawn(generator, count) for generator in generators]
    begins = [
        each.begin(count, levels, own, how) for each, own in zip(fields, of_samples, strict=True)
    ]
    condition = Condition(
        Surface.stack([each.condition.surface for each in fields]),
        Probes(*map(torch.cat, zip(*(each.condition.probes for each in fields), strict=True))),
    )

    def predict(x: Tensor, level: Level, condition: Condition) -> Tensor:
        return field.predict_noise(x, level, condition) / how.temperature

    for state in sample(
        how.sampler, predict, field.space, torch.cat(begins), levels, condition,
        [generator for own in of_samples for generator in own],
    ):  # fmt: skip
        last = state.x
    samples = last.double().unflatten(0, (len(fields), count))
    samples[..., :3, 3] += condition.surface.centre[:, None]
    return samples


def sample_batch(
    fields: Sequence[ConditionedField],
    count: int,
    generators: Sequence[torch.Generator],
    how: Sampling,
) -> list[Grasps]:
    """Grasps of each object, as `ConditionedField.sample` gives them of its first samples.

    Args:
        fields: as for `draw_batch`.
        count: how many grasps of each at most.
        generators: as for `draw_batch`.
        how: to sample. No further samples are drawn, whatever `attempts` says.

    Raises:
        InputError: as for `draw_batch`.
    """
    drawn = draw_batch(fields, math.ceil(count * how.oversampling), generators, how)
    return [
        refusal(each)
        if each.obj.is_mesh and not each.opposites.exist
        else select(each, judge(each, samples), count, how)
        for each, samples in zip(fields, drawn, strict=True)
    ]
