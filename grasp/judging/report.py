"""The report of an evaluation: a judgement of each object, and means over fitting objects.

A *fitting* object is an object that the gripper can grasp: at least 1 % of its first 2000 antipodal
candidates are positives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from grasp.judging.calibration import Reliability, reliability
from grasp.judging.coverage import EarthMoversDistance, PrecisionCoverage
from grasp.judging.measures import Measure
from grasp.judging.proportions import (
    FITS_CANDIDATES,
    FITS_SHARE,
    Estimate,
    success_at_top,
    success_rate,
)
from grasp.poses.distances import LENGTH
from pcdiff.tables import markdown_table

TOP = 20
"""Number of best ranked grasps that count for `success_top20`."""

MOST_PAIRS = 500
"""Largest number of matched pairs of grasps for the earth mover's distance."""

CUTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Numbers of best ranked grasps for which a report states precision and coverage."""

FIGURES = (
    "success_all",
    "success_top20",
    "coverage",
    "coverage_base",
    "precision_coverage_area",
    "emd_rotation",
    "emd_translation",
    "emd_combined",
)
"""Names of the figures that a report states for each object and as means over fitting objects. The
figures of further measures follow; see `figures_of`."""


_NOT_SHARES = {
    "precision_coverage_area", "emd_rotation", "emd_translation", "emd_combined", "cpu_seconds",
}  # fmt: skip


def figures_of(measures: Sequence[Measure]) -> tuple[str, ...]:
    """Return the names of all figures of a report: `FIGURES`, those of measures, `cpu_seconds`.

    Args:
        measures: Further measures of the report.
    """
    names: list[str] = []
    for each in measures:
        names += [f"{each.name}_all", f"{each.name}_top{TOP}"] if each.success else [each.name]
    return (*FIGURES, *names, "cpu_seconds")


@dataclass(frozen=True, eq=False)
class Judgement:
    """The judgement of a source for one object: the outcomes of the grasps, and figures.

    Attributes:
        name: Name of the object or of the case.
        group: Name of the underlying object. Intervals are computed over groups.
        sha256: Digest of the object's geometry.
        candidates: Number of antipodal candidates that were tried in physics.
        positives: Number of antipodal candidates that succeeded.
        fits: True if the object fits the gripper.
        poses: Poses `T_object_grasp` of the source's grasps, best ranked first.
        success: True for each successful grasp of the source, in the same order.
        probability: Success probability that the source predicts for each grasp; None if the source
            predicts no probabilities.
        failures: Number of failed grasps for each cause of failure.
        measured: For each further measure that applies, its value for each grasp; NaN for a grasp
            that was not measured.
        cpu_seconds: CPU time of the source in seconds.
        curve: Precision against coverage along the ranking. Distances are between tool centre
            points. None if there are no grasps or no positives.
        covered_at_base: Coverage with distances between the bases of the hands. None if there are
            no grasps or no positives.
        distance: Earth mover's distance between grasps and positives. None if there are no grasps
            or no positives.
        pairs: Number of matched pairs in `distance`.
        warning: A sentence about convex parts that do not follow the object's mesh; None if they
            do, or nothing was tried.
        reason: The source's reason for returning fewer grasps than requested; None if the source
            states no reason.
        protocol: Version of the physics protocol for grasps and candidates; None if unknown.
        friction: Coefficient of friction in the trials; None if unknown.
    """

    name: str
    group: str
    sha256: str
    candidates: int
    positives: int
    fits: bool
    poses: Float[np.ndarray, "grasps 4 4"]
    success: Bool[np.ndarray, " grasps"]
    probability: Float[np.ndarray, " grasps"] | None
    failures: dict[str, int]
    measured: dict[str, Float[np.ndarray, " grasps"]]
    cpu_seconds: float
    curve: PrecisionCoverage | None
    covered_at_base: float | None
    distance: EarthMoversDistance | None
    pairs: int
    warning: str | None
    reason: str | None
    protocol: str | None
    friction: float | None

    @property
    def success_all(self) -> float:
        """Share of successful grasps; 0 if the source gave no grasps."""
        return float(self.success.mean()) if len(self.success) else 0.0

    @property
    def success_top20(self) -> float:
        """Share of successes among the `TOP` best ranked grasps; 0 if the source gave no grasps."""
        return success_at_top(self.success, TOP) if len(self.success) else 0.0

    @property
    def coverage(self) -> float | None:
        """Share of the positives that the grasps cover; None if there are no positives."""
        return self._or_zero(None if self.curve is None else float(self.curve.coverage[-1]))

    def _or_zero(self, figure: float | None) -> float | None:
        """Replace a missing figure by 0 if there are positives but the source gave no grasps."""
        return 0.0 if figure is None and self.positives else figure

    def figures(self, measures: Sequence[Measure] = ()) -> dict[str, float | None]:
        """Return each figure in `FIGURES` and of measures; an undefined figure is None.

        Args:
            measures: Measures to state. Their figures follow those in `FIGURES`.
        """
        apart = self.distance
        further: dict[str, float | None] = {}
        for measure in measures:
            values = self.measured.get(measure.name)
            if measure.success:
                further[f"{measure.name}_all"] = _mean(values, 0.0)
                further[f"{measure.name}_top20"] = _mean(
                    None if values is None else values[:TOP], 0.0
                )
            else:
                further[measure.name] = _mean(values, None)
        return {
            "success_all": self.success_all,
            "success_top20": self.success_top20,
            "coverage": self.coverage,
            "coverage_base": self._or_zero(self.covered_at_base),
            "precision_coverage_area": self._or_zero(
                None if self.curve is None else self.curve.area
            ),
            "emd_rotation": None if apart is None else apart.rotation,
            "emd_translation": None if apart is None else apart.translation,
            "emd_combined": None if apart is None else apart.combined,
            **further,
            "cpu_seconds": self.cpu_seconds,
        }

    def curve_at(self, cut: int) -> tuple[float, float]:
        """Return the precision and the coverage of the best ranked grasps.

        Args:
            cut: Number of best ranked grasps that count. If there are fewer grasps, all grasps
                count.
        """
        if self.curve is None:
            return 0.0, 0.0
        place = min(cut, len(self.success)) - 1
        return float(self.curve.precision[place]), float(self.curve.coverage[place])

    def as_dict(self, measures: Sequence[Measure] = ()) -> dict[str, Any]:
        """Return the judgement as nested dictionaries of values that JSON can represent.

        Args:
            measures: Measures to state.
        """
        interval = success_rate(self.success)[1:] if len(self.success) else None
        return {
            "object": self.name,
            "group": self.group,
            "sha256": self.sha256,
            "fits": self.fits,
            "candidates": self.candidates,
            "positives": self.positives,
            "grasps": len(self.success),
            **self.figures(measures),
            "success_all_interval": interval,
            "failures": self.failures,
            "emd_pairs": self.pairs,
            "warning": self.warning,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Stamp:
    """The conditions of an evaluation, which are necessary to interpret its figures.

    Attributes:
        gripper: Name of the gripper.
        source: Name of the source.
        samples: Number of grasps requested from the source for each object.
        candidates: Number of antipodal candidates of each object.
        seed: Seed of all random draws.
        physics: Facts about the simulator: `protocol`, the version of the protocol of the trials;
            `friction`, the coefficient of friction in the trials; and the facts that the caller
            stated. If the objects differ in protocol or friction, the value of that key is a
            list. An unknown protocol or friction has no key.
    """

    gripper: str
    source: str
    samples: int
    candidates: int
    seed: int
    physics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Report:
    """The result of `evaluate`. Figures are fractions, angles in radians, or translations/ℓ.

    Attributes:
        judgements: Judgement of every object, in the order in which the objects were passed.
        overall: Mean of each figure in `FIGURES` over the fitting objects that have this figure,
            with equal weights and the 95 % interval of the cluster bootstrap. The mean over a
            single object has no interval. A figure that no object has is missing. `matched` is the
            number of objects that have earth mover's distances.
        stamp: Conditions of the evaluation.
        measures: Further measures of the grasps.
    """

    judgements: tuple[Judgement, ...]
    overall: dict[str, Estimate | float]
    stamp: Stamp
    measures: tuple[Measure, ...] = ()

    @property
    def fitting(self) -> tuple[Judgement, ...]:
        """Judgements of the objects that fit the gripper."""
        return tuple(each for each in self.judgements if each.fits)

    @property
    def matched(self) -> int:
        """Number of fitting objects with grasps, and therefore with an earth mover's distance."""
        return sum(each.distance is not None for each in self.fitting)

    def reliability(self) -> Reliability | None:
        """Compute the reliability of the predicted probabilities over all grasps of all objects.

        Returns:
            The reliability. None if there are no grasps, or the source predicts no probabilities.
        """
        return self._reliability_of(lambda each: each.success)

    def robust_reliability(self) -> Reliability | None:
        """Compute the reliability of the predicted probabilities as robust success.

        Returns:
            The reliability. None if there are no grasps, the source predicts no probabilities, or
            robust success was not measured.
        """
        if any("robust" not in each.measured for each in self.judgements if len(each.success)):
            return None
        return self._reliability_of(lambda each: each.measured["robust"])

    def _reliability_of(self, outcome: Callable[[Judgement], np.ndarray]) -> Reliability | None:
        said = [(each.probability, outcome(each)) for each in self.judgements if len(each.success)]
        if not said or any(probability is None for probability, _ in said):
            return None
        probability, success = (np.concatenate(each) for each in zip(*said, strict=True))
        return reliability(probability, success)

    def refusals(self) -> tuple[int, int]:
        """Count the fitting and the non-fitting objects for which the source gave no grasp."""
        empty = [each.fits for each in self.judgements if not len(each.success)]
        return empty.count(True), empty.count(False)

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of all figures of this report, in order."""
        return figures_of(self.measures)

    def curve(self) -> list[dict[str, int | float]]:
        """Compute the mean precision and coverage of the best k grasps, for each k in `CUTS`.

        The means are taken over fitting objects.
        """
        if not self.fitting:
            return []
        longest = max(len(each.success) for each in self.fitting)
        rows = []
        for cut in (cut for cut in CUTS if cut <= longest):
            points = np.mean([each.curve_at(cut) for each in self.fitting], axis=0)
            rows.append(
                {"grasps": cut, "precision": float(points[0]), "coverage": float(points[1])}
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Return the report as nested dictionaries of values that JSON can represent.

        Means over the objects that fit the gripper are at the top level. Each mean has an
        interval: for example, `success_all` has `success_all_interval`.
        """
        overall: dict[str, Any] = {}
        for key in self.keys:
            found = self.overall.get(key)
            if isinstance(found, Estimate):
                overall[key], *interval = found
                overall[f"{key}_interval"] = interval
            else:
                overall |= {key: found, f"{key}_interval": None}
        told, robustly = self.reliability(), self.robust_reliability()
        return {
            "objects": len(self.judgements),
            "objects_that_fit": len(self.fitting),
            "objects_with_emd": self.matched,
            **overall,
            "calibration_error": None if told is None else told.error,
            "robust_calibration_error": None if robustly is None else robustly.error,
            "reliability": None
            if told is None
            else {name: bins.tolist() for name, bins in vars(told).items()},
            "refused_that_fit": self.refusals()[0],
            "refused_that_do_not_fit": self.refusals()[1],
            "curve": self.curve(),
            "by_object": [each.as_dict(self.measures) for each in self.judgements],
            "conditions": dataclasses.asdict(self.stamp),
        }

    def table(self) -> str:
        """Return the report in Markdown: a row per object, a row of means, and notes."""
        protocol = self.stamp.physics.get("protocol")
        under = "" if protocol is None else f" (protocol {protocol})"
        # A measure that applies to no object, such as collisions with a table, has no column.
        applied = [
            measure
            for measure in self.measures
            if any(measure.name in each.measured for each in self.judgements)
        ]
        further = []
        for measure in applied:
            further += [f"{measure.title}, %"] + [f"top {TOP}, %"] * measure.success
        head = (
            "object", "fits", "positives", "grasps", f"success{under}, %", f"top {TOP}, %",
            "coverage, %", "at base, %", "P–C area", "EMD rotation", "EMD translation/ℓ",
            "EMD both", *further, "CPU-s",
        )  # fmt: skip
        rows: list[tuple[str, ...]] = [head]
        for each in sorted(self.judgements, key=lambda one: (not one.fits, one.name)):
            shown = (_cell(key, value) for key, value in each.figures(applied).items())
            fit = "yes" if each.fits else "no"
            rows.append((each.name, fit, str(each.positives), str(len(each.success)), *shown))
        of = f"{len(self.fitting)} of {len(self.judgements)}"
        shown = (_cell(key, self.overall.get(key)) for key in figures_of(applied))
        rows.append(("all that fit", of, "", "", *shown))
        return "\n\n".join([markdown_table(rows, aligned=True), *self._notes()])

    def _notes(self) -> list[str]:
        """Return the paragraphs below the table."""
        notes = []
        points = "; ".join(
            f"{row['grasps']}: {100 * row['precision']:.1f} / {100 * row['coverage']:.1f}"
            for row in self.curve()
        )
        if points:
            notes.append(f"Best k: precision / coverage, %: {points}.")
        if (told := self.reliability()) is not None:
            notes.append(f"Expected calibration error of the probabilities: {told.error:.3f}.")
        fitting, others = self.refusals()
        if fitting or others:
            notes.append(
                f"The source gave no grasp for {fitting} of the {len(self.fitting)} objects that "
                f"fit and for {others} of the {len(self.judgements) - len(self.fitting)} objects "
                "that do not fit."
            )
        notes += [
            f"Warning: {warning}."
            for warning in dict.fromkeys(each.warning for each in self.judgements)
            if warning is not None
        ]
        stamp = self.stamp
        physics = ", ".join(f"{key} {value}" for key, value in stamp.physics.items())
        positives = "that succeed"
        if "uncertainty" in stamp.physics:
            positives = "that succeed at the protocol's settings and in at least half of the draws"
        return [
            *notes,
            f"An object fits if at least {100 * FITS_SHARE:g} % of its first "
            f"{min(stamp.candidates, FITS_CANDIDATES)} antipodal candidates are positives. The "
            f"positives are all {positives} among {stamp.candidates} candidates. A grasp covers a "
            "positive within 1 cm and 15°; the distance is measured between tool centre points or, "
            "which is stricter, between bases (at base). The earth mover's distance (EMD) is in "
            f"radians, with ℓ = {LENGTH:g} m and at most {MOST_PAIRS} pairs, over the "
            f"{self.matched} objects that fit and got grasps. P–C area is the area under precision "
            "against coverage. Intervals are 95 % intervals over objects.",
            f"Gripper {stamp.gripper}, source {stamp.source}, at most {stamp.samples} grasps per "
            f"object, seed {stamp.seed}; {physics}.",
        ]


def _cell(key: str, value: Estimate | float | None) -> str:
    """Format one figure. An estimate is followed by its interval."""
    if value is None:
        return "–"
    percent = key not in _NOT_SHARES
    factor, digits = (100, 1) if percent else (1, 3)
    if isinstance(value, Estimate):
        middle, low, high = (f"{factor * number:.{digits}f}" for number in value)
        return f"{middle} [{low}, {high}]"
    return f"{factor * value:.{digits}f}"


def _mean(values: np.ndarray | None, missing: float | None) -> float | None:
    """Return the mean of the numbers that are not NaN, or `missing` if there is none."""
    measured = np.empty(0) if values is None else values[~np.isnan(values)]
    return float(measured.mean()) if len(measured) else missing
