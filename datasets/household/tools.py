"""Families of tools and utensils. Most objects lie along the x axis."""

from __future__ import annotations

import math

import numpy as np

from datasets.household.draws import Draw
from datasets.household.shapes import (
    LYING,
    Polyhedron,
    arc,
    box,
    ellipse,
    frustum,
    lathe,
    mapped,
    moved,
    prism,
    revolve,
    rounded_rectangle,
    shell,
    sweep,
    yawed,
)


def hammer(draw: Draw) -> list[Polyhedron]:
    """A hammer: the head has a face at one end, and a claw, a wedge or a face at the other end."""
    draw.material("wood and steel", "plastic and steel", "hollow plastic")
    length = draw.uniform("length", 0.16, 0.29)
    grip = draw.uniform("grip", 0.022, 0.034)
    head = draw.uniform("head", 0.07, 0.12)
    thick = draw.uniform("thick", 0.018, 0.03)
    section = ellipse(0.75 * grip, grip, 12)
    knots = [(0.0, 0.85), (0.08, 1.0), (0.4, 0.95), (0.6, 0.7), (1.0, 0.62)]
    handle = sweep(
        [(x * length, 0, 0) for x, _ in knots], section, (0, 0, 1), [s for _, s in knots]
    )
    middle = length - 0.1 * thick
    (eye,) = moved([_block(1.05 * thick, 0.32 * head, thick)], (middle, 0, 0))
    face = lathe(
        [
            (0.4 * thick, 0.16 * head),
            (0.4 * thick, 0.3 * head),
            (0.55 * thick, 0.34 * head),
            (0.55 * thick, 0.46 * head),
            (0.48 * thick, 0.48 * head),
        ],
        20,
    )
    # Rotate the face from the z axis to the y axis.
    across = mapped(face, [[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    solid = [*handle, eye, *moved(across, (middle, 0, 0))]
    style = draw.choice("style", "claw", "wedge", "mallet")
    other = mapped(across, np.diag([1.0, -1.0, 1.0]))
    if style == "mallet":
        return solid + moved(other, (middle, 0, 0))
    if style == "wedge":
        root = [(-0.5 * thick, -0.45 * thick), (0.5 * thick, -0.45 * thick)]
        root += [(0.5 * thick, 0.45 * thick), (-0.5 * thick, 0.45 * thick)]
        edge = [(0.1 * x, 0.9 * y) for x, y in root]
        peen = [frustum(root, edge, 0.15 * head, 0.5 * head)]
        turned = mapped(peen, [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
        return solid + moved(turned, (middle, 0, 0))
    bend = np.array(arc((0.9 * head, 0.5 * head), 0.0, 0.9, 4))
    path = np.stack([bend[:, 0] - 0.9 * head + middle, -bend[:, 1] - 0.14 * head], axis=1)
    path = np.insert(path, 2, 0.0, axis=1)
    for side in (-1, 1):
        prong = rounded_rectangle(0.55 * thick, 0.3 * thick, 0.08 * thick, 1)
        bar = sweep(path, prong, (0, 0, 1), [1.0, 0.95, 0.8, 0.6, 0.35])
        solid += moved(bar, (0, 0, side * 0.27 * thick))
    return solid


def screwdriver(draw: Draw) -> list[Polyhedron]:
    """A screwdriver: a handle with flutes or facets, a shaft, and a flat or crossed tip."""
    draw.material("plastic and steel")
    length, shaft = draw.uniform("handle", 0.07, 0.11), draw.uniform("shaft", 0.06, 0.15)
    radius, rod = draw.uniform("radius", 0.01, 0.018), draw.uniform("rod", 0.0022, 0.004)
    sides = draw.integer("sides", 3, 6) * 2
    waist = draw.uniform("waist", 0.6, 0.85)
    handle = lathe(
        [
            (0.6 * radius, 0.0),
            (0.95 * radius, 0.06 * length),
            (radius, 0.3 * length),
            (radius, 0.66 * length),
            (waist * radius, 0.8 * length),
            (waist * radius, 0.9 * length),
            (0.85 * radius, 0.96 * length),
            (0.5 * radius, length),
        ],
        sides,
    )
    solid = handle + lathe([(rod, length), (rod, length + shaft)], 12)
    end = length + shaft
    if draw.choice("tip", "flat", "crossed") == "crossed":
        solid += lathe([(rod, end), (0.2 * rod, end + 2.5 * rod)], 12)
    else:
        flat = [(-0.9 * rod, -0.4 * rod), (0.9 * rod, -0.4 * rod)]
        flat += [(0.9 * rod, 0.4 * rod), (-0.9 * rod, 0.4 * rod)]
        edge = [(1.4 * x, 0.35 * y) for x, y in flat]
        solid.append(frustum(flat, edge, end - 0.5 * rod, end + 3 * rod))
    return mapped(solid, LYING)


def scissors(draw: Draw) -> list[Polyhedron]:
    """Scissors: two blades that cross at a pivot, and two oval loops for the fingers."""
    draw.material("plastic and steel")
    blade, grip = draw.uniform("blade", 0.06, 0.11), draw.uniform("grip", 0.05, 0.08)
    wide, thick = draw.uniform("wide", 0.01, 0.016), draw.uniform("thick", 0.004, 0.007)
    opening = draw.uniform("opening", 0.06, 0.3)
    loop, bar = draw.uniform("loop", 0.013, 0.019), draw.uniform("bar", 0.004, 0.007)
    stretch = draw.uniform("stretch", 1.15, 1.7)
    solid = []
    for side in (-1.0, 1.0):
        bottom = 0.0 if side < 0 else thick
        top = bottom + thick
        steel = prism(
            [
                (-0.5 * wide, -0.5 * wide),
                (blade, -0.08 * wide),
                (blade, 0.02 * wide),
                (0.5 * wide, 0.5 * wide),
                (-0.5 * wide, 0.5 * wide),
            ],
            bottom,
            top,
        )
        # The oval is behind the pivot, on the same side as the other blade.
        centre = np.array([-grip + 0.2 * stretch * loop, -(loop + bar + 0.06 * grip)])
        reach = np.add(centre, (stretch * loop, 0.5 * loop))
        shank = _bar((-0.3 * wide, 0.0), reach, wide, bar, bottom, top)
        oval = revolve([(loop, bottom), (loop + bar, bottom), (loop + bar, top), (loop, top)], 20)
        oval = moved(mapped(oval, np.diag([stretch, 1.0, 1.0])), (*centre, 0.0))
        half = yawed([steel, shank, *oval], opening / 2)
        solid += half if side < 0 else mapped(half, np.diag([1.0, -1.0, 1.0]))
    return solid + lathe([(0.3 * wide, 0.0), (0.3 * wide, 2.2 * thick)], 12)


def wrench(draw: Draw) -> list[Polyhedron]:
    """A flat spanner: a shank, an open jaw at one end and a ring or a jaw at the other end."""
    draw.material("steel", "aluminium", "plastic")
    length, thick = draw.uniform("length", 0.1, 0.2), draw.uniform("thick", 0.005, 0.009)
    wide, gap = draw.uniform("wide", 0.009, 0.015), draw.uniform("gap", 0.013, 0.024)
    solid = [
        prism(
            [(0, -wide / 2), (length, -0.6 * wide), (length, 0.6 * wide), (0, wide / 2)], 0, thick
        )
    ]
    solid += moved(_jaw(gap, thick), (length + 0.35 * gap, 0.0, 0.0))
    if draw.choice("other_end", "ring", "jaw") == "jaw":
        return solid + moved(
            mapped(_jaw(0.85 * gap, thick), np.diag([-1.0, 1.0, 1.0])), (-0.3 * gap, 0, 0)
        )
    inner, outer = 0.5 * gap, 0.5 * gap + 0.4 * wide
    eye = revolve([(inner, 0), (outer, 0), (outer, thick), (inner, thick)], 18)
    return solid + moved(eye, (-0.5 * (inner + outer), 0.0, 0.0))


def spoon(draw: Draw) -> list[Polyhedron]:
    """A spoon or a ladle: an oval, hollow bowl on a bent stem."""
    draw.material("steel", "wood", "plastic")
    wide, deep = draw.uniform("wide", 0.018, 0.034), draw.uniform("deep", 0.25, 0.6)
    wall, stretch = draw.uniform("wall", 0.002, 0.0035), draw.uniform("stretch", 1.0, 1.6)
    length, rise = draw.uniform("length", 0.1, 0.2), draw.uniform("rise", 0.05, 0.4)
    angles = np.linspace(0.35, math.pi / 2, 5)
    radii, heights = wide * np.sin(angles), deep * wide * (math.cos(angles[0]) - np.cos(angles))
    outline = [(0.0, 0.0), *zip(radii.tolist(), heights.tolist(), strict=True)]
    cup = mapped(shell(outline, wall, 20), np.diag([stretch, 1.0, 1.0]))
    edge, top = stretch * wide - 0.6 * wall, float(heights[-1]) - 0.8 * wall
    path = [(edge, 0, top), (edge + 0.25 * length, 0, top + 0.8 * rise * 0.25 * length)]
    path += [(edge + 0.6 * length, 0, top + rise * 0.6 * length)]
    path += [(edge + length, 0, top + 0.9 * rise * length)]
    stem = rounded_rectangle(1.2 * wall, draw.uniform("stem", 0.007, 0.012), 0.3 * wall, 1)
    return cup + sweep(path, stem, (0, 1, 0), [0.8, 0.7, 1.0, 1.5])


def knife(draw: Draw) -> list[Polyhedron]:
    """A table or kitchen knife: a grip and a pointed blade."""
    draw.material("plastic and steel", "wood and steel", "steel")
    grip, blade = draw.uniform("grip", 0.08, 0.12), draw.uniform("blade", 0.08, 0.15)
    tall, thick = draw.uniform("tall", 0.018, 0.032), draw.uniform("thick", 0.002, 0.0035)
    handle = rounded_rectangle(0.75 * tall, draw.uniform("handle_thick", 0.01, 0.016), 0.004, 2)
    path = [(-grip, 0, 0), (-0.8 * grip, 0, 0), (-0.4 * grip, 0, 0), (0, 0, 0)]
    bar = sweep(path, handle, (0, 0, 1), [0.8, 1.0, 0.85, 0.95])
    outline = [(-0.002, -0.5 * tall), (0.7 * blade, -0.5 * tall), (0.9 * blade, -0.25 * tall)]
    outline += [(blade, 0.1 * tall), (0.8 * blade, 0.3 * tall), (-0.002, 0.4 * tall)]
    return [*bar, prism(outline, -thick / 2, thick / 2)]


def spatula(draw: Draw) -> list[Polyhedron]:
    """A kitchen turner: a flat blade at an angle on a long stem with a grip."""
    draw.material("plastic", "wood", "steel")
    wide, long = draw.uniform("wide", 0.05, 0.085), draw.uniform("long", 0.06, 0.1)
    thick, angle = draw.uniform("thick", 0.002, 0.004), draw.uniform("angle", 0.1, 0.5)
    stem, length = draw.uniform("stem", 0.007, 0.011), draw.uniform("length", 0.13, 0.2)
    sheet = [(0, -0.3 * wide), (0.3 * long, -0.5 * wide), (long, -0.5 * wide), (long, 0.5 * wide)]
    sheet += [(0.3 * long, 0.5 * wide), (0, 0.3 * wide)]
    blade = prism(sheet, 0.0, thick)
    away = np.array([-math.cos(angle), 0.0, math.sin(angle)])
    joint = np.array([0.0, 0.0, thick / 2])
    path = [np.array([0.25 * long, 0, thick / 2]), joint, joint + 0.4 * length * away]
    rod = sweep(path, rounded_rectangle(stem * 0.6, stem, 0.15 * stem, 1), (0, 1, 0))
    at = [0.38, 0.42, 0.7, 0.97, 1.0]
    grip = rounded_rectangle(0.013, draw.uniform("grip", 0.016, 0.026), 0.005, 2)
    knots = [joint + x * length * away for x in at]
    return [blade, *rod, *sweep(knots, grip, (0, 1, 0), [0.6, 1.0, 0.85, 1.0, 0.7])]


def brush(draw: Draw) -> list[Polyhedron]:
    """A brush: a handle, and a head with a block of bristles below it."""
    draw.material("plastic", "wood", "hollow plastic")
    scale = draw.spread("scale", 0.35, 1.0)
    length, head = (
        scale * draw.uniform("length", 0.12, 0.2),
        scale * draw.uniform("head", 0.06, 0.1),
    )
    wide, thick = (
        scale * draw.uniform("wide", 0.03, 0.06),
        scale * draw.uniform("thick", 0.012, 0.02),
    )
    bristle = scale * draw.uniform("bristle", 0.015, 0.03)
    grip = scale * draw.uniform("grip", 0.018, 0.028)
    back = prism(rounded_rectangle(head, wide, 0.3 * wide, 3), bristle, bristle + thick)
    tuft = prism(rounded_rectangle(0.9 * head, 0.85 * wide, 0.25 * wide, 3), 0.0, bristle)
    level, start = bristle + thick / 2, 0.45 * head
    path = [(start + x * length, 0, level) for x in (0.0, 0.3, 0.7, 0.96, 1.0)]
    section = rounded_rectangle(0.95 * thick, grip, 0.3 * thick, 2)
    return [back, tuft, *sweep(path, section, (0, 1, 0), [0.8, 0.7, 1.0, 0.95, 0.7])]


def torch(draw: Draw) -> list[Polyhedron]:
    """A pocket lamp: a tube that widens to its head."""
    draw.material("appliance", "aluminium")
    radius, length = draw.uniform("radius", 0.01, 0.019), draw.uniform("length", 0.08, 0.17)
    head = radius + draw.uniform("head", 0.003, 0.014)
    cone, mouth = draw.uniform("cone", 0.01, 0.025), draw.uniform("mouth", 0.01, 0.03)
    profile = [(0.85 * radius, 0.0), (radius, 0.003), (radius, length)]
    profile += [(head, length + cone), (head, length + cone + mouth)]
    solid = lathe(profile, 24)
    button = moved([_block(0.012, 0.009, 0.016)], (radius, 0.0, 0.75 * length))
    return mapped(solid + button, LYING)


def spectacles(draw: Draw) -> list[Polyhedron]:
    """Spectacles that lie on the two rims and the bridge, with the two temples upright."""
    draw.material("plastic")
    wide, tall = draw.uniform("wide", 0.044, 0.056), draw.uniform("tall", 0.032, 0.046)
    bar, thick = draw.uniform("bar", 0.003, 0.005), draw.uniform("thick", 0.003, 0.005)
    bridge, temple = draw.uniform("bridge", 0.014, 0.02), draw.uniform("temple", 0.1, 0.14)
    inner = tall / 2 - bar
    rim = revolve([(inner, 0), (tall / 2, 0), (tall / 2, thick), (inner, thick)], 20)
    rim = mapped(rim, np.diag([wide / tall, 1.0, 1.0]))
    offset = (wide + bridge) / 2
    solid = moved(rim, (offset, 0, 0)) + moved(rim, (-offset, 0, 0))
    reach = bridge / 2 + 0.6 * bar
    solid.append(box((-reach, 0.1 * tall, 0), (reach, 0.1 * tall + bar, thick)))
    edge = offset + wide / 2
    hinge = prism(np.add(ellipse(1.6 * bar, 1.8 * bar, 8), (edge, 0.1 * tall)), 0, thick)
    path = [(edge + 0.4 * bar, 0.1 * tall, 0.2 * thick), (edge + 0.4 * bar, 0.1 * tall, temple)]
    arm = [hinge, *sweep(path, ellipse(0.8 * bar, 1.3 * bar, 8), (0, 1, 0))]
    return solid + arm + mapped(arm, np.diag([-1.0, 1.0, 1.0]))


def _block(x: float, y: float, z: float) -> Polyhedron:
    """A cuboid around the origin with sides of `x`, `y` and `z` metres."""
    return box((-x / 2, -y / 2, -z / 2), (x / 2, y / 2, z / 2))


def _jaw(gap: float, thick: float) -> list[Polyhedron]:
    """A spanner's jaw that is open towards +x: a base with two prongs."""
    base = [(-0.75 * gap, -0.6 * gap), (-0.2 * gap, -0.95 * gap), (-0.2 * gap, 0.95 * gap)]
    prong = [(-0.2 * gap, 0.5 * gap), (0.75 * gap, 0.5 * gap), (0.6 * gap, 0.8 * gap)]
    prong.append((-0.2 * gap, 0.95 * gap))
    arm = prism(prong, 0.0, thick)
    return [
        prism([*base, (-0.75 * gap, 0.6 * gap)], 0.0, thick),
        arm,
        *mapped([arm], np.diag([1.0, -1.0, 1.0])),
    ]


def _bar(
    start: tuple[float, float],
    end: np.ndarray,
    wide: float,
    narrow: float,
    bottom: float,
    top: float,
) -> Polyhedron:
    """A flat bar between two points in the xy plane; its width changes from `wide` to `narrow`."""
    along = np.subtract(end, start) / np.linalg.norm(np.subtract(end, start))
    left = np.array([-along[1], along[0]])
    corners = [start - left * wide / 2, end - left * narrow / 2]
    corners += [end + left * narrow / 2, start + left * wide / 2]
    return prism(np.array(corners), bottom, top)
