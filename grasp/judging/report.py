"""What an evaluation reports: a judgement of each object, and figures over all that fit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from grasp.judging.calibration import Reliability, reliability
from grasp.judging.coverage import (
    EarthMoversDistance,
    PrecisionCoverage,
)
from grasp.judging.proportions import (
    FITS_CANDIDATES,
    FITS_SUCCESSES,
    Estimate,
    success_at_top,
    success_rate,
)
from grasp.poses.distances import LENGTH

TOP = 20
"""How many of the best ranked grasps `success_top20` is of."""


PAIRS = 500
"""At most so many grasps of each set are matched for the earth mover's distance."""


CUTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Places of the ranking at which a report gives the precision–coverage curve."""


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
"""The names of the figures of an object and of all objects that fit."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a source is worth on one object.

    Attributes:
        name: the object's.
        sha256: of its geometry.
        candidates: antipodal candidates that went through physics.
        positives: how many of them held.
        fits: whether the object fits the gripper.
        success: whether each grasp of the source held, best ranked first.
        probability: of that, as the source says; None if it does not.
        failures: how many grasps failed for each reason.
        curve: precision against coverage along the ranking; None without grasps or positives.
        covered_at_base: coverage where distances are between the hands' bases; likewise.
        distance: earth mover's distance to the positives; likewise.
        pairs: how many grasps of each set that distance is of.
        reason: what the source says about giving fewer grasps than it was asked for.
        protocol: the version of the physics that its grasps and candidates went through; None if
            none went.
        friction: the coefficient there; likewise.
    """

    name: str
    sha256: str
    candidates: int
    positives: int
    fits: bool
    success: Bool[np.ndarray, " grasps"]
    probability: Float[np.ndarray, " grasps"] | None
    failures: dict[str, int]
    curve: PrecisionCoverage | None
    covered_at_base: float | None
    distance: EarthMoversDistance | None
    pairs: int
    reason: str | None
    protocol: str | None
    friction: float | None

    @property
    def success_all(self) -> float:
        """The share of the grasps that held; 0 if the source gave none."""
        return float(self.success.mean()) if len(self.success) else 0.0

    @property
    def success_top20(self) -> float:
        """The share that held of the `TOP` best ranked ones; 0 if the source gave none."""
        return success_at_top(self.success, TOP) if len(self.success) else 0.0

    @property
    def coverage(self) -> float | None:
        """The share of the positives near one of the grasps; None without positives."""
        return self._or_nothing(None if self.curve is None else float(self.curve.coverage[-1]))

    def _or_nothing(self, figure: float | None) -> float | None:
        """What is known of the positives: 0 if the source gave no grasps."""
        return 0.0 if figure is None and self.positives else figure

    def figures(self) -> dict[str, float | None]:
        """The values of `FIGURES`; None for one that does not exist here."""
        apart = self.distance
        return {
            "success_all": self.success_all,
            "success_top20": self.success_top20,
            "coverage": self.coverage,
            "coverage_base": self._or_nothing(self.covered_at_base),
            "precision_coverage_area": self._or_nothing(
                None if self.curve is None else self.curve.area
            ),
            "emd_rotation": None if apart is None else apart.rotation,
            "emd_translation": None if apart is None else apart.translation,
            "emd_combined": None if apart is None else apart.combined,
        }

    def curve_at(self, cut: int) -> tuple[float, float]:
        """Precision and coverage of the best so many grasps, or of all where there are fewer."""
        if self.curve is None:
            return 0.0, 0.0
        place = min(cut, len(self.success)) - 1
        return float(self.curve.precision[place]), float(self.curve.coverage[place])

    def as_dict(self) -> dict[str, Any]:
        """As nested dictionaries that JSON can hold."""
        interval = success_rate(self.success)[1:] if len(self.success) else None
        return {
            "object": self.name,
            "sha256": self.sha256,
            "fits": self.fits,
            "candidates": self.candidates,
            "positives": self.positives,
            "grasps": len(self.success),
            **self.figures(),
            "success_all_interval": interval,
            "failures": self.failures,
            "emd_pairs": self.pairs,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Stamp:
    """The conditions of an evaluation, without which its figures mean nothing.

    Attributes:
        gripper: its name.
        source: what gave the grasps.
        samples: grasps that the source was asked for, of each object.
        candidates: antipodal candidates of each object.
        seed: of everything that is drawn.
        physics: under `protocol` its version and under `friction` the coefficient, as the trials
            had them: several where objects differ, absent where nothing was tried; and what else
            the caller says of the simulator.
    """

    gripper: str
    source: str
    samples: int
    candidates: int
    seed: int
    physics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Report:
    """The result of `evaluate`: fractions, radians, and translations over ℓ.

    Attributes:
        judgements: of every object, in the order given.
        overall: each of `FIGURES` over the objects that fit and have it, objects weighing alike,
            with the interval of the cluster bootstrap (95 %); without an interval for one object,
            and absent for none. The earth mover's distances are those that an object may lack: see
            `matched`.
        stamp: the conditions.
    """

    judgements: tuple[Judgement, ...]
    overall: dict[str, Estimate | float]
    stamp: Stamp

    @property
    def fitting(self) -> tuple[Judgement, ...]:
        """Those of the objects that fit the gripper."""
        return tuple(each for each in self.judgements if each.fits)

    @property
    def matched(self) -> int:
        """Of how many fitting objects the earth mover's distance is: those that got grasps."""
        return sum(each.distance is not None for each in self.fitting)

    def reliability(self) -> Reliability | None:
        """Of the probabilities of all grasps of all objects; None where the source gives none."""
        said = [(each.probability, each.success) for each in self.judgements if len(each.success)]
        if not said or any(probability is None for probability, _ in said):
            return None
        probability, success = (np.concatenate(each) for each in zip(*said, strict=True))
        return reliability(probability, success)

    def refusals(self) -> tuple[int, int]:
        """Of the objects that fit, and of those that do not, how many got no grasp."""
        empty = [each.fits for each in self.judgements if not len(each.success)]
        return empty.count(True), empty.count(False)

    def curve(self) -> list[dict[str, int | float]]:
        """The mean precision and coverage over the objects that fit, at each of `CUTS`."""
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
        """The report as nested dictionaries that JSON can hold.

        The figures over the objects that fit are at the top, e.g. `success_all`, with
        `success_all_interval` beside it.
        """
        overall: dict[str, Any] = {}
        for key in FIGURES:
            found = self.overall.get(key)
            if isinstance(found, Estimate):
                overall[key], *interval = found
                overall[f"{key}_interval"] = interval
            else:
                overall |= {key: found, f"{key}_interval": None}
        told = self.reliability()
        return {
            "objects": len(self.judgements),
            "objects_that_fit": len(self.fitting),
            "objects_with_emd": self.matched,
            **overall,
            "calibration_error": None if told is None else told.error,
            "reliability": None
            if told is None
            else {name: bins.tolist() for name, bins in vars(told).items()},
            "refused_that_fit": self.refusals()[0],
            "refused_that_do_not_fit": self.refusals()[1],
            "curve": self.curve(),
            "by_object": [each.as_dict() for each in self.judgements],
            "conditions": dataclasses.asdict(self.stamp),
        }

    def table(self) -> str:
        """The report as Markdown: a row for each object and one for all that fit, then the rest."""
        head = (
            "object", "fits", "positives", "grasps", "success, %", f"top {TOP}, %", "coverage, %",
            "at base, %", "P–C area", "EMD rotation", "EMD translation/ℓ", "EMD both",
        )  # fmt: skip
        rows = [head, tuple("---" for _ in head)]
        for each in sorted(self.judgements, key=lambda one: (not one.fits, one.name)):
            shown = (_cell(key, value) for key, value in each.figures().items())
            fit = "yes" if each.fits else "no"
            rows.append(
                (each.name, fit, str(each.positives), str(len(each.success)), *shown)
            )  # fmt: skip
        of = f"{len(self.fitting)} of {len(self.judgements)}"
        shown = (_cell(key, self.overall.get(key)) for key in FIGURES)
        rows.append(("all that fit", of, "", "", *shown))
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [
            "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
            for row in rows
        ]
        points = "; ".join(
            f"{row['grasps']}: {100 * row['precision']:.1f} / {100 * row['coverage']:.1f}"
            for row in self.curve()
        )
        stamp = self.stamp
        physics = ", ".join(f"{key} {value}" for key, value in stamp.physics.items())
        notes = [
            f"An object fits when at least {FITS_SUCCESSES} of its first "
            f"{min(stamp.candidates, FITS_CANDIDATES)} antipodal candidates hold in physics; the "
            f"positives are all that hold of {stamp.candidates}. Coverage: within 1 cm and 15° of "
            "a grasp, the centimetre between tool centre points or, stricter, between bases. EMD "
            f"in radians, ℓ = {LENGTH:g} m, of at most {PAIRS} pairs, over the {self.matched} "
            "objects that fit and got grasps. P–C area: under precision against coverage. "
            "Intervals: 95 %, over objects.",
            f"Gripper {stamp.gripper}, source {stamp.source}, {stamp.samples} grasps an object, "
            f"seed {stamp.seed}; {physics}.",
        ]
        fitting, others = self.refusals()
        if fitting or others:
            notes.insert(
                0,
                f"No grasp was given of {fitting} of the {len(self.fitting)} objects that fit and "
                f"of {others} of the {len(self.judgements) - len(self.fitting)} that do not.",
            )
        if (told := self.reliability()) is not None:
            notes.insert(0, f"Expected calibration error of the probabilities: {told.error:.3f}.")
        if points:
            notes.insert(0, f"Best k: precision / coverage, %: {points}.")
        return "\n\n".join(["\n".join(lines), *notes])


def _cell(key: str, value: Estimate | float | None) -> str:
    if value is None:
        return "–"
    percent = key.startswith(("success", "coverage"))
    factor, digits = (100, 1) if percent else (1, 3)
    if isinstance(value, Estimate):
        middle, low, high = (f"{factor * number:.{digits}f}" for number in value)
        return f"{middle} [{low}, {high}]"
    return f"{factor * value:.{digits}f}"
