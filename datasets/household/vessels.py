"""Families of objects that are mostly solids of revolution, such as containers for food and drink.

Open vessels have walls of random thickness and a cavity that is open at the top; closed vessels
are solid. Every object stands upright on z = 0 around the z axis. Handles are centred at y = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from datasets.household.draws import Draw
from datasets.household.shapes import (
    Polyhedron,
    arc,
    ellipse,
    lathe,
    mapped,
    moved,
    resampled,
    revolve,
    rounded_rectangle,
    shell,
    sweep,
)

WALL_SIDES = 24
"""Number of sides of thin-walled vessels. Every side of the wall needs its own convex pieces."""

SOLID_SIDES = 32
"""Number of sides of solids. The number of convex pieces does not depend on the number of sides."""

Profile = list[tuple[float, float]]


def mug(draw: Draw) -> list[Polyhedron]:
    """A thin-walled mug with one handle and a straight, tapered or bellied wall."""
    material = draw.material("ceramic", "ceramic", "glass", "plastic", "steel")
    radius = draw.uniform("radius", 0.032, 0.046)
    height = draw.uniform("height", 0.075, 0.115)
    scale = 0.5 if material == "steel" else 1.0
    wall = scale * draw.uniform("wall", 0.0025, 0.0045)
    floor = scale * draw.uniform("floor", 0.004, 0.008)
    style = draw.choice("style", "straight", "tapered", "bellied")
    if style == "straight":
        profile = [(radius, 0.0), (radius, height)]
    elif style == "tapered":
        taper = draw.uniform("taper", 0.72, 0.93)
        profile = [(taper * radius, 0.0), (radius, height)]
    else:
        belly = draw.uniform("belly", 0.06, 0.13)
        middle = [
            (radius * (1 + belly * (math.sin(math.pi * x) - 1)), height * x)
            for x in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        profile = middle
    body = shell([(0.0, 0.0), *profile], [floor] + [wall] * (len(profile) - 1), WALL_SIDES)
    low, high = draw.uniform("handle_low", 0.16, 0.3), draw.uniform("handle_high", 0.72, 0.88)
    return body + _loop_handle(
        draw,
        _on_profile(profile, low * height),
        _on_profile(profile, high * height),
        wall,
        reach=draw.uniform("handle_reach", 0.024, 0.036),
    )


def jug(draw: Draw) -> list[Polyhedron]:
    """A tall thin-walled vessel with a waist, a flaring rim and a long handle."""
    draw.material("ceramic", "glass", "plastic")
    radius = draw.uniform("radius", 0.04, 0.06)
    height = draw.uniform("height", 0.13, 0.2)
    waist = draw.uniform("waist", 0.65, 0.85)
    wall = draw.uniform("wall", 0.0028, 0.0045)
    profile = [
        (0.75 * radius, 0.0),
        (radius, 0.28 * height),
        (0.94 * radius, 0.5 * height),
        (waist * radius, 0.8 * height),
        (min(waist + 0.12, 0.95) * radius, height),
    ]
    body = shell([(0.0, 0.0), *profile], [1.6 * wall] + [wall] * 4, WALL_SIDES)
    return body + _loop_handle(
        draw,
        _on_profile(profile, draw.uniform("handle_low", 0.3, 0.42) * height),
        _on_profile(profile, 0.86 * height),
        wall,
        reach=draw.uniform("handle_reach", 0.035, 0.05),
    )


def pot(draw: Draw) -> list[Polyhedron]:
    """A cooking pot with a loop handle on each side."""
    material = draw.material("steel", "aluminium", "ceramic")
    radius = draw.uniform("radius", 0.05, 0.085)
    height = draw.uniform("height", 0.55, 1.1) * radius
    wall = (0.5 if material == "steel" else 1.0) * draw.uniform("wall", 0.0024, 0.004)
    body = shell([(0.0, 0.0), (radius, 0.0), (radius, height)], wall, WALL_SIDES)
    span, reach = draw.uniform("handle_span", 0.035, 0.05), draw.uniform("handle_reach", 0.02, 0.03)
    thickness = draw.uniform("handle_thickness", 0.005, 0.008)
    # The loop is in the horizontal plane and ends at the middles of facets of the wall.
    half = min(span, 1.2 * radius) / 2
    edge = math.sqrt(radius**2 - half**2) - wall / 2
    out = radius + reach
    path = resampled(
        [
            (edge, -half),
            (0.9 * out, -0.92 * half),
            (out, -0.5 * half),
            (out, 0.5 * half),
            (0.9 * out, 0.92 * half),
            (edge, half),
        ],
        9,
    )
    level = draw.uniform("handle_level", 0.65, 0.85) * height
    bar = sweep(np.insert(path, 2, level, axis=1), ellipse(thickness, thickness, 8), (0, 0, 1))
    return body + bar + mapped(bar, np.diag([-1.0, -1.0, 1.0]))


def pan(draw: Draw) -> list[Polyhedron]:
    """A frying pan with a long handle."""
    material = draw.material("aluminium", "steel")
    radius = draw.uniform("radius", 0.06, 0.11)
    height = draw.uniform("height", 0.025, 0.045)
    flare = draw.uniform("flare", 1.05, 1.25)
    wall = (0.5 if material == "steel" else 1.0) * draw.uniform("wall", 0.0024, 0.0035)
    profile = [(radius / flare, 0.0), (radius, height)]
    body = shell([(0.0, 0.0), *profile], wall, WALL_SIDES)
    length = draw.uniform("handle_length", 0.1, 0.18)
    width, thickness = (
        draw.uniform("handle_width", 0.015, 0.026),
        draw.uniform("grip", 0.009, 0.016),
    )
    rise = draw.uniform("handle_rise", 0.0, 0.3)
    start = _on_profile(profile, 0.6 * height)[0] - wall / 2
    level = 0.6 * height
    path = [
        (start, 0.0, level),
        (start + 0.02, 0.0, level + 0.02 * rise),
        (start + 0.035, 0.0, level + 0.035 * rise),
        (start + 0.6 * length, 0.0, level + 0.6 * length * rise),
        (start + 0.94 * length, 0.0, level + 0.94 * length * rise),
        (start + length, 0.0, level + length * rise),
    ]
    section = rounded_rectangle(thickness, width, 0.35 * thickness, 2)
    return body + sweep(path, section, (0, 1, 0), [0.5, 0.5, 0.8, 1.0, 1.0, 0.7])


def bowl(draw: Draw) -> list[Polyhedron]:
    """An open bowl on a flat foot."""
    material = draw.material("ceramic", "glass", "plastic", "wood", "steel")
    radius = draw.uniform("radius", 0.045, 0.09)
    height = draw.uniform("height", 0.45, 0.85) * radius
    foot = draw.uniform("foot", 0.35, 0.6)
    wall = (0.4 if material == "steel" else 1.0) * draw.uniform("wall", 0.003, 0.005)
    angles = np.linspace(-math.acos(foot), -draw.uniform("flare", 0.0, 0.4), 6)
    # The profile is an arc from the foot to the rim, stretched to the height.
    rise = np.sin(angles) - math.sin(angles[0])
    profile = list(
        zip(
            (radius * np.cos(angles) / math.cos(angles[-1])).tolist(),
            (height * rise / rise[-1]).tolist(),
            strict=True,
        )
    )
    return shell([(0.0, 0.0), *profile], wall, WALL_SIDES)


def plate(draw: Draw) -> list[Polyhedron]:
    """A flat plate with a rim."""
    draw.material("ceramic", "plastic", "wood")
    radius = draw.uniform("radius", 0.065, 0.115)
    inner = draw.uniform("inner", 0.6, 0.72) * radius
    height = draw.uniform("height", 0.012, 0.026)
    wall = draw.uniform("wall", 0.003, 0.005)
    profile = [(inner, 0.0), (inner + 0.3 * (radius - inner), 0.65 * height), (radius, height)]
    return shell([(0.0, 0.0), *profile], wall, WALL_SIDES)


def glass(draw: Draw) -> list[Polyhedron]:
    """A tumbler: a drinking glass without a stem."""
    draw.material("glass", "glass", "plastic")
    radius = draw.uniform("radius", 0.026, 0.043)
    height = draw.uniform("height", 0.07, 0.15)
    taper = draw.uniform("taper", 0.7, 1.0)
    wall = draw.uniform("wall", 0.0018, 0.0035)
    floor = draw.uniform("floor", 0.004, 0.012)
    return shell([(0.0, 0.0), (taper * radius, 0.0), (radius, height)], [floor, wall], WALL_SIDES)


def wineglass(draw: Draw) -> list[Polyhedron]:
    """A wine glass: a bowl on a stem with a foot."""
    draw.material("glass", "plastic")
    radius = draw.uniform("radius", 0.028, 0.042)
    depth = draw.uniform("depth", 0.06, 0.1)
    stem = draw.uniform("stem", 0.04, 0.09)
    stem_radius = draw.uniform("stem_radius", 0.0035, 0.0055)
    foot = draw.uniform("foot", 0.03, 0.038)
    wall = draw.uniform("wall", 0.0018, 0.0028)
    rim = draw.uniform("rim", 0.72, 1.0)
    support = [
        (foot, 0.0),
        (foot, 0.003),
        (1.4 * stem_radius, 0.008),
        (stem_radius, 0.016),
        (stem_radius, stem),
    ]
    cup = [
        (0.0, stem),
        (1.5 * stem_radius, stem),
        (0.62 * radius, stem + 0.13 * depth),
        (0.93 * radius, stem + 0.32 * depth),
        (radius, stem + 0.5 * depth),
        (rim * radius, stem + depth),
    ]
    return lathe(support, WALL_SIDES) + shell(cup, wall, WALL_SIDES)


def bottle(draw: Draw) -> list[Polyhedron]:
    """A bottle with a shoulder and a neck, either closed with a cap or open and thin-walled."""
    radius = draw.uniform("radius", 0.021, 0.043)
    height = draw.uniform("height", 0.13, 0.25)
    neck = draw.uniform("neck", 0.28, 0.55) * radius + 0.003
    shoulder = draw.uniform("shoulder", 0.5, 0.72) * height
    collar = draw.uniform("collar", 0.76, 0.86) * height
    bend = 0.55 * radius + 0.45 * neck
    profile = [
        (radius, 0.0),
        (radius, shoulder),
        (bend, 0.45 * shoulder + 0.55 * collar),
        (neck, collar),
        (neck, height),
    ]
    if draw.choice("style", "closed", "open") == "open":
        draw.material("glass", "plastic")
        wall = draw.uniform("wall", 0.0018, 0.003)
        return shell([(0.0, 0.0), *profile], [2 * wall] + [wall] * 4, WALL_SIDES)
    draw.material("filled plastic", "filled glass", "hollow plastic")
    cap = neck + draw.uniform("cap", 0.001, 0.004)
    length = draw.uniform("cap_length", 0.012, 0.022)
    profile[0:1] = [(0.92 * radius, 0.0), (radius, 0.004)]
    profile[-1] = (neck, height - length)
    closure = [(cap, height - length), (cap, height - 0.001), (cap - 0.001, height)]
    return lathe([*profile, *closure], SOLID_SIDES)


def jar(draw: Draw) -> list[Polyhedron]:
    """A wide jar with a screw lid."""
    draw.material("filled glass", "filled plastic", "hollow plastic")
    radius = draw.uniform("radius", 0.025, 0.048)
    height = draw.uniform("height", 0.05, 0.13)
    mouth = draw.uniform("mouth", 0.75, 0.95) * radius
    lid = draw.uniform("lid", 0.01, 0.018)
    over = draw.uniform("over", 0.001, 0.003)
    profile = [
        (0.94 * radius, 0.0),
        (radius, 0.004),
        (radius, 0.82 * (height - lid)),
        (mouth, 0.97 * (height - lid)),
        (mouth, height - lid),
        (mouth + over, height - lid),
        (mouth + over, height),
    ]
    return lathe(profile, SOLID_SIDES)


def can(draw: Draw) -> list[Polyhedron]:
    """A tin can, either closed with raised seams or open and empty."""
    radius = draw.uniform("radius", 0.026, 0.048)
    height = draw.uniform("height", 0.04, 0.13)
    if draw.choice("style", "closed", "open") == "open":
        draw.material("steel", "aluminium")
        wall = draw.uniform("wall", 0.0012, 0.0018)
        return shell([(0.0, 0.0), (radius, 0.0), (radius, height)], wall, WALL_SIDES)
    draw.material("filled metal")
    lip = draw.uniform("lip", 0.0012, 0.002)
    seam = draw.uniform("seam", 0.0025, 0.004)
    body = lathe([(radius, seam), (radius, height - seam)], WALL_SIDES)
    inside, outside = radius - lip, radius + 0.5 * lip
    for low, high in ((0.0, seam), (height - seam, height)):
        body += revolve(
            [(inside, low), (outside, low), (outside, high), (inside, high)], WALL_SIDES
        )
    return body


def teapot(draw: Draw) -> list[Polyhedron]:
    """A closed round pot with a knobbed lid, a spout and a handle."""
    draw.material("hollow plastic", "appliance")
    radius = draw.uniform("radius", 0.04, 0.06)
    squat = draw.uniform("squat", 0.75, 0.95)
    knob = draw.uniform("knob", 0.007, 0.011)
    wide = draw.uniform("wide", 0.45, 0.6)
    half = squat * radius
    base, top = -math.acos(0.6), math.acos(wide)
    outline = [(r, z - half * math.sin(base)) for r, z in arc((radius, half), base, top, 8)]
    crown = outline[-1][1]
    lid = [(0.9 * wide * radius, crown), (0.35 * wide * radius, crown + 0.006)]
    ball = [
        (0.5 * knob, crown + 0.006),
        (0.5 * knob, crown + 0.009),
        (knob, crown + 0.009 + 0.6 * knob),
        (knob, crown + 0.009 + 1.1 * knob),
        (0.6 * knob, crown + 0.009 + 1.7 * knob),
    ]
    body = lathe([*outline, *lid, *ball], SOLID_SIDES)
    level = outline[4][1]
    spout = [
        (0.8 * radius, 0.0, 0.75 * level),
        (1.15 * radius, 0.0, 0.85 * level),
        (1.4 * radius, 0.0, 1.25 * level),
        (1.6 * radius, 0.0, 1.05 * crown),
        (1.75 * radius, 0.0, 1.15 * crown),
    ]
    nose = sweep(spout, ellipse(0.02, 0.02, 10), (0, 1, 0), [1.3, 1.1, 0.75, 0.6, 0.55])
    handle = _loop_handle(
        draw,
        _on_profile(outline, 0.35 * crown),
        _on_profile(outline, 0.82 * crown),
        0.008,
        reach=draw.uniform("handle_reach", 0.026, 0.036),
    )
    return body + nose + mapped(handle, np.diag([-1.0, -1.0, 1.0]))


def knob(draw: Draw) -> list[Polyhedron]:
    """A drawer or door knob: a base plate, a neck and a head."""
    draw.material("wood", "plastic", "aluminium", "ceramic")
    head = draw.uniform("head", 0.012, 0.034)
    neck = draw.uniform("neck", 0.35, 0.65) * head
    plate_radius = draw.uniform("plate", 0.75, 1.1) * head
    reach = draw.uniform("reach", 0.012, 0.03)
    flat = draw.uniform("flat", 0.45, 1.0)
    thick = draw.uniform("thick", 0.003, 0.006)
    ball = arc((head, flat * head), -1.0, math.pi / 2, 8)
    lift = thick + reach - ball[0][1]
    profile = [(plate_radius, 0.0), (plate_radius, thick), (neck, thick), (neck, thick + reach)]
    return lathe([*profile, *((r, z + lift) for r, z in ball)], SOLID_SIDES)


def lightbulb(draw: Draw) -> list[Polyhedron]:
    """A light bulb on a screw base."""
    draw.material("hollow plastic")
    radius = draw.uniform("radius", 0.022, 0.034)
    base = draw.uniform("base", 0.38, 0.5) * radius
    length = draw.uniform("base_length", 0.018, 0.026)
    neck = draw.uniform("neck", 0.5, 1.1) * radius
    ball = arc(radius, -0.8, math.pi / 2, 9)
    lift = length + neck - ball[0][1]
    profile = [(0.5 * base, 0.0), (base, 0.004), (base, length), (1.1 * base, length)]
    return lathe([*profile, *((r, z + lift) for r, z in ball)], SOLID_SIDES)


def fruit(draw: Draw) -> list[Polyhedron]:
    """An egg, apple, pear or lemon: a round solid, in some cases with a narrow top or a stalk."""
    draw.material("fruit")
    radius = draw.uniform("radius", 0.018, 0.042)
    long = draw.uniform("long", 0.85, 1.35)
    pear = draw.uniform("pear", 0.0, 0.4)
    angles = np.linspace(-math.pi / 2, math.pi / 2, 15)
    height = 2 * long * radius
    across = np.cos(angles) * (1 - pear * (np.sin(angles) + 0.4) / 1.4)
    across[[0, -1]] = 0.0
    profile = list(
        zip(
            (radius * across / across.max()).tolist(),
            (height * (1 + np.sin(angles)) / 2).tolist(),
            strict=True,
        )
    )
    body = lathe(profile, SOLID_SIDES)
    stalk = draw.uniform("stalk", -0.008, 0.012)
    if stalk < 0.004:
        return body
    return body + moved(lathe([(0.0018, -0.004), (0.0014, stalk)], 8), (0, 0, height))


def _on_profile(profile: Sequence[tuple[float, float]], z: float) -> tuple[float, float]:
    """Return the point (radius, z) of a profile at the height z."""
    radii, heights = zip(*profile, strict=True)
    return float(np.interp(z, heights, radii)), z


def _loop_handle(
    draw: Draw,
    lower: tuple[float, float],
    upper: tuple[float, float],
    wall: float,
    *,
    reach: float,
) -> list[Polyhedron]:
    """A handle between two points on the outside of a vessel; its ends are inside the wall.

    The path of the handle is half a superellipse over the chord between the points, so the handle
    leaves the wall at a right angle. A small exponent makes the path square.
    """
    thickness = draw.uniform("handle_thickness", 0.005, 0.0085)
    width = draw.uniform("handle_width", 0.009, 0.014)
    square = draw.uniform("handle_square", 0.55, 1.0)
    start, end = np.array(lower), np.array(upper)
    chord = end - start
    away = np.array([chord[1], -chord[0]]) / np.linalg.norm(chord)
    angle = np.linspace(0, np.pi, 65)[1:-1]
    along = 0.5 - 0.5 * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** square
    out = reach * np.sin(angle) ** square
    curve = start + along[:, None] * chord + out[:, None] * away
    path = resampled(np.concatenate([[start + 0.1 * thickness * away], curve, [end]]), 11)
    path = np.concatenate([[start - wall / 2 * away], path[:-1], [end - wall / 2 * away]])
    return sweep(np.insert(path, 1, 0.0, axis=1), ellipse(thickness, width, 8), (0, 1, 0))
