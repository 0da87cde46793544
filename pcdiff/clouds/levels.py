"""The noise levels at which the cloud head samples."""

from __future__ import annotations

from pcdiff.diffusion.schedules import Level, Schedule, karras_levels

LARGEST_RATIO, SMALLEST_RATIO = 80.0, 0.005
"""σ/α at which sampling begins and at which it takes its last step to the clean cloud.

At the first, x_t is noise to one part in eighty (the σ_max of Karras et al. 2022, table 1, for data
of unit variance); the second is finer than the spacing of the points.
"""


def sampling_levels(schedule: Schedule, steps: int) -> Level:
    """Return the noise levels that sampling visits, in Karras spacing."""
    return karras_levels(schedule, steps, *sampled_ratios(schedule))


def sampled_ratios(schedule: Schedule) -> tuple[float, float]:
    """Return the first and the last σ/α of sampling, both within the trained range."""
    largest, smallest = schedule.trained_ratios()
    return min(LARGEST_RATIO, largest), max(SMALLEST_RATIO, smallest)
