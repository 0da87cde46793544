"""The noise levels at which the cloud head samples."""

from __future__ import annotations

from pcdiff.diffusion.schedules import Level, Schedule, karras_levels

LARGEST_RATIO, SMALLEST_RATIO = 80.0, 0.005
"""The noise ratios σ/α at the start of sampling and before the last step to the clean cloud.

At the ratio 80, the noise is 80 times as large as the data (σ_max in table 1 of Karras et al. 2022,
for data of unit variance). At the ratio 0.005, the noise is smaller than the spacing of the points.
"""


def sampling_levels(schedule: Schedule, steps: int) -> Level:
    """Return the noise levels of the sampling steps, spaced as in Karras et al. (2022)."""
    return karras_levels(schedule, steps, *sampled_ratios(schedule))


def sampled_ratios(schedule: Schedule) -> tuple[float, float]:
    """Return the first and the last noise ratio σ/α of sampling, both within the trained range."""
    largest, smallest = schedule.trained_ratios()
    return min(LARGEST_RATIO, largest), max(SMALLEST_RATIO, smallest)
