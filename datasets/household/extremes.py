"""Families at the limits of a hand: things that are too wide or nearly so, and flat things."""

from __future__ import annotations

import math

from datasets.household.draws import Draw
from datasets.household.shapes import (
    Polyhedron,
    arc,
    ellipse,
    frustum,
    lathe,
    mapped,
    prism,
    rounded_rectangle,
)

_NARROWEST, _WIDEST = 0.055, 0.115
"""Range of the widths of large things in metres; common hands open 0.08 m to 0.14 m."""


def large_block(draw: Draw) -> list[Polyhedron]:
    """A cuboid, a prism of six sides, a wedge or an ellipsoid that is wide in every direction."""
    draw.material("filled carton", "wood", "hollow plastic", "foam", "appliance")
    width, depth, height = (
        draw.spread(side, _NARROWEST, _WIDEST) for side in ("width", "depth", "height")
    )
    style = draw.choice("style", "cuboid", "cuboid", "hexagon", "wedge", "ellipsoid")
    if style == "ellipsoid":
        ball = lathe(arc(0.5, -math.pi / 2, math.pi / 2, 14), 24)
        scales = [[width, 0, 0], [0, depth, 0], [0, 0, height]]
        return mapped(ball, scales)
    if style == "hexagon":
        return [prism(ellipse(width, width, 6), 0.0, height)]
    corners = [(0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)]
    slope = draw.uniform("slope", 0.6, 0.95) if style == "wedge" else 1.0
    return [frustum(corners, [(slope * x, y) for x, y in corners], 0.0, height)]


def large_can(draw: Draw) -> list[Polyhedron]:
    """A wide closed can, tub, roll or cup that may taper."""
    draw.material("filled metal", "filled plastic", "filled carton", "hollow plastic", "wood")
    diameter = draw.spread("diameter", _NARROWEST, _WIDEST)
    height = draw.spread("height", 0.04, 0.16)
    taper = (
        draw.uniform("taper", 0.8, 1.0)
        if draw.choice("style", "straight", "taper") == "taper"
        else 1.0
    )
    edge = draw.uniform("edge", 0.0, 0.004)
    low, high = taper * diameter / 2, diameter / 2
    return lathe([(low - edge, 0.0), (low, edge), (high, height - edge), (high - edge, height)], 32)


def slab(draw: Draw) -> list[Polyhedron]:
    """A flat thing, such as a book, a telephone, a tile, a coaster or a ruler."""
    draw.material("filled carton", "appliance", "wood", "plastic", "ceramic", "aluminium")
    thick = draw.spread("thickness", 0.003, 0.03)
    width = draw.spread("width", 0.025, 0.2)
    style = draw.choice("style", "sharp", "rounded", "disc")
    if style == "disc":
        return [prism(ellipse(width, width, 32), 0.0, thick)]
    length = draw.uniform("slender", 1.0, 2.5) * width
    if style == "sharp":
        return [prism([(0.0, 0.0), (length, 0.0), (length, width), (0.0, width)], 0.0, thick)]
    radius = draw.uniform("rounding", 0.03, 0.45) * width
    return [prism(rounded_rectangle(length, width, radius, 4), 0.0, thick)]
