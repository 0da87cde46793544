"""Uneven parts, compared with the even parts that they are made from."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from datasets.household import make
from datasets.household.roughness import roughened
from datasets.household.shapes import volume
from pcdiff.errors import InputError
from tests.datasets.household.geometry import is_closed, planes

ROUGH = 3e-4


@pytest.mark.parametrize("family", ["box", "mug", "hammer"])
def test_without_roughness_parts_enclose_the_same(family):
    thing = make(family, 3, 1)
    same = roughened(thing, 0.0)
    for part, other in zip(thing.parts, same.parts, strict=True):
        # A convex body is determined by its support function.
        directions = np.random.default_rng(0).normal(size=(200, 3))
        support, found = ((each.vertices @ directions.T).max(axis=0) for each in (part, other))
        assert found == pytest.approx(support, abs=1e-12)
        assert volume(other) == pytest.approx(volume(part), rel=1e-9)


def test_parts_are_moved_by_what_was_drawn():
    """The surface rises above the faces of a box by normal waves of the drawn deviation."""
    heights, deviations = [], []
    for index in range(40):
        thing = make("box", 5, index)
        rough = roughened(thing, ROUGH)
        deviation = rough.parameters["roughness"]
        assert 0 <= deviation <= ROUGH
        (part,), (other,) = thing.parts, rough.parts
        normals, distances = planes(part)
        outside = (other.vertices @ normals.T - distances).max(axis=1)
        # The surface is only a little inside too, because a convex hull keeps only the peaks.
        assert np.abs(outside).max() <= np.sqrt(2 * 32) * deviation * np.sqrt(3)
        heights.append((other.vertices @ normals.T - distances).max() / deviation)
        deviations.append(deviation)
    # This is the highest of some hundred correlated places.
    assert 1.5 < np.mean(heights) < 4
    assert np.mean(deviations) == pytest.approx(ROUGH / 2, abs=4 * ROUGH / np.sqrt(12 * 40))


def test_parts_stay_convex_and_closed_and_all_else_as_it_was():
    thing = make("mug", 3, 1)
    rough = roughened(thing, ROUGH)
    for part in rough.parts:
        assert is_closed(part.faces)
        normals, distances = planes(part)
        assert (part.vertices @ normals.T <= distances + 1e-9).all()
        assert len(ConvexHull(part.vertices).vertices) == len(part.vertices)
    assert rough.vertices is thing.vertices and rough.mass == thing.mass
    again, other = roughened(thing, ROUGH), roughened(make("mug", 3, 2), ROUGH)
    assert np.array_equal(again.parts[0].vertices, rough.parts[0].vertices)
    assert other.parameters["roughness"] != rough.parameters["roughness"]


@pytest.mark.parametrize("roughness", [-1e-4, 0.01, float("nan")])
def test_a_roughness_out_of_range_is_refused(roughness):
    with pytest.raises(InputError, match=r"must be between 0 and 0\.001 m, got"):
        roughened(make("box"), roughness)
