"""Families of blocks, rings and toys."""

from __future__ import annotations

import math

import numpy as np

from datasets.household.draws import Draw
from datasets.household.shapes import (
    LYING,
    Polyhedron,
    arc,
    box,
    convex_hull,
    ellipse,
    frustum,
    lathe,
    mapped,
    moved,
    prism,
    resampled,
    revolve,
    rounded_rectangle,
    sweep,
    yawed,
)


def carton(draw: Draw) -> list[Polyhedron]:
    """A closed box, which is one cuboid."""
    draw.material("filled carton", "filled carton", "wood", "hollow plastic")
    size = [draw.spread(side, 0.018, 0.14) for side in ("width", "depth", "height")]
    return [box((0, 0, 0), size)]


def rounded_block(draw: Draw) -> list[Polyhedron]:
    """A block with rounded vertical edges, such as a bar of soap or a remote control."""
    draw.material("appliance", "plastic", "rubber", "wood")
    width = draw.spread("width", 0.03, 0.085)
    length = draw.uniform("slender", 1.0, 2.6) * width
    height = draw.spread("height", 0.008, 0.05)
    radius = draw.uniform("rounding", 0.12, 0.48) * width
    chamfer = draw.uniform("chamfer", 0.05, 0.3) * min(height, radius)
    wide = rounded_rectangle(length, width, radius, 4)
    narrow = rounded_rectangle(length - 2 * chamfer, width - 2 * chamfer, radius - chamfer, 4)
    # The block is convex and has three layers, which share their faces.
    return [
        frustum(narrow, wide, 0.0, chamfer),
        prism(wide, chamfer, height - chamfer),
        frustum(wide, narrow, height - chamfer, height),
    ]


def crate(draw: Draw) -> list[Polyhedron]:
    """An open box with a floor and four thin walls."""
    draw.material("plastic", "wood", "filled carton")
    width, depth = draw.spread("width", 0.05, 0.16), draw.spread("depth", 0.05, 0.16)
    height = draw.uniform("height", 0.03, 0.1)
    wall = draw.uniform("wall", 0.002, 0.006)
    right, back = width - wall, depth - wall
    return [
        box((0, 0, 0), (width, depth, wall)),
        box((0, 0, wall), (wall, depth, height)),
        box((right, 0, wall), (width, depth, height)),
        box((wall, 0, wall), (right, wall, height)),
        box((wall, back, wall), (right, depth, height)),
    ]


def l_shape(draw: Draw) -> list[Polyhedron]:
    """An L-shaped block of two bars at a right angle, lying or standing."""
    draw.material("wood", "plastic", "aluminium")
    thick = draw.spread("thickness", 0.012, 0.045)
    depth = draw.spread("depth", 0.012, 0.06)
    long = thick + draw.uniform("long", 0.03, 0.12)
    short = thick + draw.uniform("short", 0.02, 0.08)
    bars = [
        box((0, 0, 0), (long, depth, thick)),
        box((0, 0, thick), (thick, depth, short)),
    ]
    return _standing_or_lying(draw, bars)


def t_shape(draw: Draw) -> list[Polyhedron]:
    """A T-shaped block: one bar across the end of another bar, lying or standing."""
    draw.material("wood", "plastic", "aluminium")
    thick = draw.spread("thickness", 0.012, 0.04)
    stem = draw.spread("stem", 0.012, 0.04)
    depth = draw.spread("depth", 0.012, 0.05)
    bar = stem + draw.uniform("bar", 0.04, 0.11)
    length = draw.uniform("length", 0.03, 0.11)
    bars = [
        box((-stem / 2, 0, 0), (stem / 2, depth, length)),
        box((-bar / 2, 0, length), (bar / 2, depth, length + thick)),
    ]
    return _standing_or_lying(draw, bars)


def ring(draw: Draw) -> list[Polyhedron]:
    """A ring with a rectangular section, such as a roll of tape, or a torus."""
    draw.material("plastic", "wood", "rubber", "filled carton")
    inner = draw.spread("inner_radius", 0.01, 0.045)
    wide = draw.uniform("wide", 0.005, 0.022)
    if draw.choice("style", "flat", "round") == "flat":
        height = draw.spread("height", 0.006, 0.05)
        corners = [(inner, 0.0), (inner + wide, 0.0), (inner + wide, height), (inner, height)]
        return revolve(corners, 24)
    return revolve(np.add(ellipse(wide, wide, 8), (inner + wide / 2, wide / 2)), 24)


def dumbbell(draw: Draw) -> list[Polyhedron]:
    """A bar between two discs, hexagons or balls, such as a dumbbell, a spool or a toy."""
    draw.material("plastic", "rubber", "wood", "hollow plastic")
    bar, length = draw.uniform("bar", 0.007, 0.018), draw.uniform("length", 0.03, 0.1)
    head = bar + draw.uniform("head", 0.006, 0.028)
    style = draw.choice("style", "disc", "hexagon", "ball")
    sides = 6 if style == "hexagon" else 24
    if style == "ball":
        low, high = -math.pi / 2, math.asin(math.sqrt(1 - (bar / head) ** 2))
        near = arc(head, low, high, 9)
    else:
        wide = draw.uniform("head_width", 0.008, 0.03)
        near = [(0.85 * head, -wide), (head, -wide + 0.15 * head), (head, 0.0)]
    end = near[-1][1]
    lower = [(r, z - end) for r, z in near]
    upper = [(r, length - z) for r, z in reversed(lower)]
    shape = lathe(lower, sides) + lathe([(bar, 0.0), (bar, length)], 16) + lathe(upper, sides)
    return mapped(shape, LYING)


def banana(draw: Draw) -> list[Polyhedron]:
    """A bent banana that tapers at both ends."""
    draw.material("fruit")
    thick = draw.uniform("thickness", 0.024, 0.04)
    bend = draw.uniform("bend", 0.05, 0.09) + thick
    angle = draw.uniform("angle", 1.1, 1.9)
    path = np.array(arc(bend, -angle / 2, angle / 2, 10))
    scales = [0.25, 0.6, 0.85, 0.97, 1.0, 1.0, 0.98, 0.9, 0.7, 0.35, 0.22]
    return sweep(np.insert(path, 2, 0.0, axis=1), ellipse(thick, thick, 10), (0, 0, 1), scales)


def animal(draw: Draw) -> list[Polyhedron]:
    """A toy animal: a body on four legs, a neck, a head with ears and a tail."""
    draw.material("wood", "plastic", "hollow plastic", "rubber")
    length, width = draw.uniform("length", 0.06, 0.12), draw.uniform("width", 0.03, 0.06)
    tall, legs = draw.uniform("tall", 0.035, 0.06), draw.uniform("legs", 0.015, 0.045)
    foot = draw.uniform("foot", 0.25, 0.4) * width
    head, neck = draw.uniform("head", 0.5, 0.9) * width, draw.uniform("neck", -0.2, 0.8)
    (body,) = lathe(arc(0.5, -math.pi / 2, math.pi / 2, 12), 20)
    (trunk,) = moved(mapped([body], np.diag([length, width, tall])), (0, 0, legs + 0.35 * tall))
    solid = [trunk]
    for x in (-0.27 * length, 0.27 * length):
        for y in (-0.22 * width, 0.22 * width):
            leg = lathe([(foot / 2, 0.0), (foot / 2, legs + 0.35 * tall)], 12)
            solid += moved(leg, (x, y, 0))
    centre = np.array([0.5 * length + 0.2 * head, 0.0, legs + 0.35 * tall + neck * tall])
    shoulder = np.array([0.25 * length, 0.0, legs + 0.45 * tall])
    solid += sweep([shoulder, centre], ellipse(0.55 * head, 0.55 * head, 10), (0, 1, 0))
    solid += moved(mapped([body], np.diag([1.25 * head, head, head])), centre)
    ear = box((-0.28 * head, 0.17 * head, 0.25 * head), (-0.12 * head, 0.47 * head, 0.75 * head))
    solid += moved([ear, *mapped([ear], np.diag([1.0, -1.0, 1.0]))], centre)
    tail = [(-0.4 * length, 0, legs + 0.45 * tall), (-0.62 * length, 0, legs + 0.6 * tall)]
    return solid + sweep(tail, ellipse(0.008, 0.008, 6), (0, 1, 0))


def toy(draw: Draw) -> list[Polyhedron]:
    """A toy of two to five primitive shapes. Each later shape sticks out of an earlier shape."""
    draw.material("wood", "plastic", "hollow plastic", "foam")
    pieces: list[Polyhedron] = []
    centres: list[np.ndarray] = []
    for index in range(draw.integer("primitives", 2, 5)):
        kind = draw.choice(f"kind_{index}", "box", "cylinder", "cone", "ball")
        x, y, z = (draw.spread(f"half_{axis}_{index}", 0.01, 0.035) for axis in "xyz")
        if kind == "box":
            shape = [box((-x, -y, -z), (x, y, z))]
        elif kind == "ball":
            shape = mapped(lathe(arc(1.0, -math.pi / 2, math.pi / 2, 12), 20), np.diag([x, y, z]))
        else:
            shape = lathe([(x, -z), (x if kind == "cylinder" else 0.3 * x, z)], 24)
        (piece,) = yawed(shape, draw.uniform(f"turn_{index}", -math.pi, math.pi))
        centre = np.zeros(3)
        if index:
            on = draw.integer(f"on_{index}", 0, index - 1)
            direction = np.zeros(3)
            direction[draw.integer(f"axis_{index}", 0, 2)] = (
                draw.integer(f"side_{index}", 0, 1) * 2 - 1
            )
            # The pieces overlap enough for round faces to meet well.
            step = 0.8 * (_reach(pieces[on], direction) + _reach(piece, -direction))
            centre = centres[on] + step * direction
        pieces.append(piece)
        centres.append(centre)
    return [moved([p], centre)[0] for p, centre in zip(pieces, centres, strict=True)]


def figurine(draw: Draw) -> list[Polyhedron]:
    """A figure of round, branching limbs that may resemble an animal, a hand or a twig.

    Each limb is the convex hull of two balls, and the first ball is at the end of an earlier limb.
    The figure is scaled along z by a random factor from 0.4 to 1. A mirrored figure has every limb
    on the left and on the right.
    """
    draw.material("wood", "plastic", "hollow plastic", "rubber", "ceramic")
    (ball,) = lathe(arc(1.0, -math.pi / 2, math.pi / 2, 8), 16)
    mirror = draw.choice("sides", "one", "two") == "two"
    flat = np.diag([1.0, 1.0, draw.uniform("height", 0.4, 1.0)])
    centres, radii = [np.zeros(3)], [draw.spread("trunk", 0.012, 0.035)]
    solid: list[Polyhedron] = []
    for index in range(1, 1 + draw.integer("limbs", 2, 7)):
        on = draw.integer(f"on_{index}", 0, index - 1)
        around = draw.uniform(f"around_{index}", -math.pi, math.pi)
        up = draw.uniform(f"up_{index}", -1.0, 1.0)
        across = math.sqrt(1 - up**2)
        direction = np.array([across * math.cos(around), across * math.sin(around), up])
        radii.append(draw.spread(f"radius_{index}", 0.005, 0.03))
        centres.append(centres[on] + draw.spread(f"length_{index}", 0.02, 0.08) * direction)
        # Each limb has its own angle, so that the balls of two limbs do not share faces.
        (turned,) = yawed([ball], float(index))
        ends = [turned.vertices * radii[i] + centres[i] for i in (on, index)]
        limb = convex_hull(np.concatenate(ends) @ flat)
        if limb is None:
            raise ValueError(f"limb {index} of a figurine is flat")
        solid += [limb, *mapped([limb], np.diag([1.0, -1.0, 1.0]))] if mirror else [limb]
    return _standing_or_lying(draw, solid)


def car(draw: Draw) -> list[Polyhedron]:
    """A toy car: a chassis, a cabin and four wheels."""
    draw.material("wood", "plastic", "hollow plastic")
    length, width = draw.uniform("length", 0.07, 0.14), draw.uniform("width", 0.03, 0.055)
    body, cabin = draw.uniform("body", 0.014, 0.024), draw.uniform("cabin", 0.014, 0.026)
    wheel, tyre = draw.uniform("wheel", 0.009, 0.015), draw.uniform("tyre", 0.006, 0.01)
    start, end = draw.uniform("bonnet", 0.15, 0.4), draw.uniform("boot", 0.05, 0.2)
    back, front = (end - 0.5) * length, (0.5 - start) * length
    side, slope = 0.45 * width, draw.uniform("slope", 0.2, 0.7) * cabin
    lower = [(back, -side), (front, -side), (front, side), (back, side)]
    upper = [
        (back + slope / 2, -0.9 * side),
        (front - slope, -0.9 * side),
        (front - slope, 0.9 * side),
        (back + slope / 2, 0.9 * side),
    ]
    top = wheel + body
    solid = [
        box((-length / 2, -width / 2, wheel), (length / 2, width / 2, top)),
        frustum(lower, upper, top, top + cabin),
    ]
    disc = mapped(lathe([(wheel, -tyre / 2), (wheel, tyre / 2)], 20), LYING)
    for x in (-0.3 * length, 0.3 * length):
        for y in (-0.5 * width, 0.5 * width):
            solid += moved(yawed(disc, math.pi / 2), (x, y, wheel))
    return solid


def headphones(draw: Draw) -> list[Polyhedron]:
    """Headphones with a bent band and a cup at each end of the band."""
    draw.material("plastic", "hollow plastic")
    radius, stretch = draw.uniform("radius", 0.05, 0.07), draw.uniform("stretch", 1.0, 1.25)
    thick, wide = draw.uniform("thickness", 0.004, 0.008), draw.uniform("width", 0.01, 0.02)
    path = resampled(arc((radius, stretch * radius), 0.0, math.pi, 64), 21)
    band = sweep(
        np.insert(path, 1, 0.0, axis=1), rounded_rectangle(thick, wide, 0.3 * thick, 1), (0, 1, 0)
    )
    cup, deep = draw.uniform("cup", 0.022, 0.034), draw.uniform("cup_depth", 0.015, 0.028)
    pad = lathe([(0.8 * cup, 0.0), (cup, 0.3 * deep), (cup, deep)], 24)
    lying = moved(mapped(pad, -LYING @ np.diag([1.0, -1.0, 1.0])), (radius + thick / 4, 0, 0))
    return band + lying + mapped(lying, np.diag([-1.0, 1.0, 1.0]))


def _reach(piece: Polyhedron, direction: np.ndarray) -> float:
    """The distance from the origin, inside a piece, to the piece's surface along a direction."""
    a, b, c = piece.vertices[piece.faces].swapaxes(0, 1)
    normals = np.cross(b - a, c - a)
    towards = normals @ direction
    ahead = towards > 1e-9 * np.linalg.norm(normals, axis=1)
    return float(np.min(np.sum(normals * a, axis=1)[ahead] / towards[ahead]))


def _standing_or_lying(draw: Draw, solid: list[Polyhedron]) -> list[Polyhedron]:
    """Choose at random whether to turn the solid so that its y axis points up; return the solid."""
    if draw.choice("pose", "standing", "lying") == "standing":
        return solid
    return mapped(solid, [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
