"""Count what the cleaning leaves out of clean scans and meshes of thin things: ideally nothing.

    python -m experiments.thin_things [--count 50]

Wires, stems, blades and loose parts look like what a camera or a reconstruction adds by mistake.
Each thing is loaded with default options as a mesh, as a cloud of its whole surface, and as seen
from one side before a table and before a wall: as a depth image with its mask, and as a cloud.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import trimesh

from datasets.household.objects import make
from experiments import record
from experiments.view_damage import Picture, generator, picture
from grasp.objects.loading import load_object
from grasp.objects.object import Object
from pcdiff.errors import InputError
from pcdiff.tables import markdown_table

SEED, COUNT = 51_005, 50
POINTS = 5_000, 20_000  # smallest and largest number of points of a whole cloud

FAMILIES = (
    "spectacles", "wineglass", "glass", "scissors", "headphones", "spoon", "spatula", "wrench",
    "screwdriver", "knife", "brush", "ring", "plate", "crate", "teapot",
)  # fmt: skip
"""Families of `datasets.household` with thin parts or walls."""

Mesh = trimesh.Trimesh
Maker = Callable[[np.random.Generator], Mesh]


def _joined(*parts: Mesh) -> Mesh:
    together = trimesh.util.concatenate(list(parts))
    assert isinstance(together, Mesh)
    return together


def _rod(start: list[float], end: list[float], radius: float) -> Mesh:
    return trimesh.creation.cylinder(radius, segment=[start, end], sections=12)


def _tube(path: np.ndarray, radius: float, sides: int = 10) -> Mesh:
    """Sweep a circle along a path that never turns by more than a right angle at once."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along[0], np.eye(3)[np.abs(along[0]).argmin()])
    angle = 2 * np.pi * np.arange(sides) / sides
    rings = []
    for place, tangent in zip(path, along, strict=True):
        across = across - (across @ tangent) * tangent  # keeps the rings from twisting
        across /= np.linalg.norm(across)
        circle = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(
            tangent, across
        )
        rings.append(place + radius * circle)
    first = np.arange(len(path) - 1)[:, None] * sides + np.arange(sides)
    after = first - first % sides + (first + 1) % sides
    last = (len(path) - 1) * sides
    ends = [[k + 1, k, 0] for k in range(1, sides - 1)]
    caps = [*ends, *(np.array(ends)[:, ::-1] + last).tolist()]
    faces = np.concatenate(
        [
            np.stack([first, after, first + sides], axis=-1).reshape(-1, 3),
            np.stack([after, after + sides, first + sides], axis=-1).reshape(-1, 3),
            caps,
        ]
    )
    return trimesh.Trimesh(np.concatenate(rings), faces, process=False)


def cable(rng: np.random.Generator) -> Mesh:
    """A cable 2 to 5 mm thick that winds over a table."""
    turns, along = rng.uniform(1, 2.5), np.linspace(0, 1, 200)
    angle, radius = 2 * np.pi * turns * along, rng.uniform(0.03, 0.05) + 0.03 * along
    path = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.008 * along], axis=1)
    return _tube(path, rng.uniform(0.001, 0.0025))


def spring(rng: np.random.Generator) -> Mesh:
    """A coil of wire with wide gaps between its turns."""
    along = np.linspace(0, 1, 300)
    angle, radius = 2 * np.pi * rng.integers(5, 9) * along, rng.uniform(0.01, 0.025)
    height = rng.uniform(0.08, 0.15)
    path = np.stack([radius * np.cos(angle), radius * np.sin(angle), height * along], axis=1)
    return _tube(path, rng.uniform(0.001, 0.002))


def sieve(rng: np.random.Generator) -> Mesh:
    """A grid of wires in a ring, with a handle; the wires overlap and share no vertex."""
    radius, wire = rng.uniform(0.04, 0.07), rng.uniform(0.0005, 0.001)
    places = np.linspace(-0.9, 0.9, rng.integers(9, 16)) * radius
    parts = [trimesh.creation.torus(radius, 0.002, minor_sections=12)]
    for place in places:
        half = float(np.sqrt(radius**2 - place**2))
        parts += [_rod([-half, place, 0], [half, place, 0], wire)]
        parts += [_rod([place, -half, 0], [place, half, 0], wire)]
    parts += [_rod([radius, 0, 0], [radius + 0.12, 0, 0], 0.003)]
    return _joined(*parts)


def stemmed_glass(rng: np.random.Generator) -> Mesh:
    """A wine glass with a stem 4 to 7 mm thick and a wall of 1.5 mm."""
    stem, high = 1000 * rng.uniform(0.002, 0.0035), rng.uniform(60, 110)
    profile = [[0, 0], [35, 0], [35, 2], [stem, 5], [stem, high], [30, high + 20]]
    profile += [[36, high + 60], [34.5, high + 60], [28.5, high + 21.5], [0, high + 3]]
    return trimesh.creation.revolve(np.array(profile) / 1000, sections=48)


def fork(rng: np.random.Generator) -> Mesh:
    """A fork with three to five tines on a flat handle."""
    tines, long = int(rng.integers(3, 6)), rng.uniform(0.03, 0.05)
    parts = [trimesh.creation.box(bounds=[[-0.12, -0.004, 0], [0.01, 0.004, 0.0015]])]
    parts += [trimesh.creation.box(bounds=[[0, -0.012, 0], [0.02, 0.012, 0.0015]])]
    for y in np.linspace(-0.0105, 0.0105, tines):
        parts += [
            trimesh.creation.box(bounds=[[0.019, y - 0.001, 0], [0.02 + long, y + 0.001, 0.0015]])
        ]
    return _joined(*parts)


def wire_frame(rng: np.random.Generator) -> Mesh:
    """The edges of a box as rods."""
    sides = rng.uniform(0.05, 0.12, 3)
    box = trimesh.creation.box(sides)
    radius = rng.uniform(0.001, 0.002)
    vertices = np.asarray(box.vertices)
    rods = [
        _rod(vertices[a].tolist(), vertices[b].tolist(), radius)
        for a, b in np.asarray(box.edges_unique)
        if np.count_nonzero(np.abs(vertices[a] - vertices[b]) > 1e-9) == 1
    ]
    return _joined(*rods)


def glasses(rng: np.random.Generator) -> Mesh:
    """Two lenses that stand free in their rims, a bridge, and two temples."""
    lens, gap = rng.uniform(0.018, 0.022), rng.uniform(0.0005, 0.0015)
    parts = []
    for side in (-1, 1):
        rim = trimesh.creation.torus(lens + gap + 0.001, 0.001, minor_sections=12)
        glass = trimesh.creation.cylinder(lens, 0.001)
        temple = trimesh.creation.box((0.002, 0.002, 0.13))
        place = side * (lens + 0.011)
        parts += [rim.apply_translation([place, 0, 0]), glass.apply_translation([place, 0, 0])]
        outer = side * (2 * lens + gap + 0.0135)
        parts += [temple.apply_translation([outer, 0, 0.065])]
    return _joined(*parts, trimesh.creation.box((0.02, 0.002, 0.002)))


def whisk(rng: np.random.Generator) -> Mesh:
    """Loops of wire on a handle."""
    angle = np.linspace(0.0, np.pi, 60)
    wide, long, wire = (
        rng.uniform(0.02, 0.035),
        rng.uniform(0.04, 0.06),
        rng.uniform(0.0007, 0.0012),
    )
    loops = []
    for turn in np.linspace(0, np.pi, 5)[:-1]:
        across = wide * np.cos(angle)
        path = [across * np.cos(turn), across * np.sin(turn), long * 2 * np.sin(angle)]
        loops.append(_tube(np.stack(path, axis=1), wire))
    collar = [trimesh.creation.torus(wide, 0.002), _rod([-wide, 0, 0], [wide, 0, 0], 0.002)]
    return _joined(*loops, *collar, _rod([0, 0, 0.002], [0, 0, -0.1], 0.008))


def chain(rng: np.random.Generator) -> Mesh:
    """Links that pass through each other without contact."""
    links = []
    for number in range(int(rng.integers(4, 8))):
        link = trimesh.creation.torus(0.012, 0.002, minor_sections=16)
        link.apply_transform(trimesh.transformations.rotation_matrix(number * np.pi / 2, [1, 0, 0]))
        links.append(link.apply_translation([0.019 * number, 0, 0]))
    return _joined(*links)


def comb(rng: np.random.Generator) -> Mesh:
    """A comb with thin teeth."""
    teeth = np.linspace(-0.07, 0.07, int(rng.integers(30, 45)))
    parts = [trimesh.creation.box(bounds=[[-0.075, 0, 0], [0.075, 0.012, 0.003]])]
    parts += [
        trimesh.creation.box(bounds=[[x, -0.02, 0.001], [x + 0.001, 0.001, 0.002]]) for x in teeth
    ]
    return _joined(*parts)


def hanger(rng: np.random.Generator) -> Mesh:
    """A coat hanger of wire."""
    half, wire = rng.uniform(0.1, 0.14), rng.uniform(0.001, 0.002)
    rods = [_rod([-half, 0, 0], [half, 0, 0], wire)]
    rods += [_rod([side * half, 0, 0], [0, 0.07, 0], wire) for side in (-1, 1)]
    angle = np.linspace(-np.pi / 2, np.pi, 40)
    hook = np.stack([0.02 * np.cos(angle), 0.09 + 0.02 * np.sin(angle), 0 * angle], axis=1)
    return _joined(*rods, _tube(hook, wire))


def tripod(rng: np.random.Generator) -> Mesh:
    """Three thin legs below a small head."""
    angles = rng.uniform(0, 2) + np.array([0, 2, 4]) * np.pi / 3
    radius = rng.uniform(0.0015, 0.003)
    legs = [_rod([0, 0, 0.15], [0.06 * np.cos(a), 0.06 * np.sin(a), 0], radius) for a in angles]
    return _joined(*legs, trimesh.creation.icosphere(2, 0.012).apply_translation([0, 0, 0.155]))


MAKERS: dict[str, Maker] = {
    each.__name__: each
    for each in (
        cable, spring, sieve, stemmed_glass, fork, wire_frame, glasses, whisk, chain, comb, hanger,
        tripod,
    )
}  # fmt: skip
"""Makers of further thin things, by name."""


def things(count: int = COUNT, seed: int = SEED) -> Iterator[tuple[str, Mesh]]:
    """Yield the names and meshes of thin things in metres; the kinds take turns.

    Args:
        count: Number of things.
        seed: Seed of their sizes.
    """
    kinds = [*MAKERS, *FAMILIES]
    for index in range(count):
        kind = kinds[index % len(kinds)]
        if kind in MAKERS:
            made = MAKERS[kind](generator(seed, kind, index))
        else:
            thing = make(kind, seed, index)
            made = trimesh.Trimesh(thing.vertices, thing.faces, process=False)
        yield f"{kind}-{index}", made


def forms(name: str, mesh: Mesh, seed: int = SEED) -> Iterator[tuple[str, Callable[[], int], int]]:
    """Yield each form of a thing: its name, a function that loads it, and its size.

    The function returns the number of faces or points that stay, and the size is the number of
    those that are there.

    Args:
        name: Name of the thing.
        mesh: The thing.
        seed: Seed of the clouds and the views.
    """
    whole = Object.from_mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), name=name)
    assert whole.faces is not None
    yield "mesh", partial(_faces, mesh), len(whole.faces)
    rng = generator(seed, name, 0, "cloud")
    points = np.unique(whole.surface(int(rng.integers(*POINTS)), rng)[0], axis=0)
    yield "whole cloud", lambda: len(load_object(points).vertices), len(points)
    for number, background in enumerate(("table", "wall")):
        seen = picture(whole, number, seed)
        size = len(np.unique(seen.points(), axis=0))
        yield f"view, {background}", partial(_masked, seen), size
        yield f"view as a cloud, {background}", partial(_cloud, seen), size


def _faces(mesh: Mesh) -> int:
    faces = load_object(mesh).faces
    assert faces is not None
    return len(faces)


def _masked(seen: Picture) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "view.npz"
        np.savez(path, depth=seen.depth)
        loaded = load_object(path, mask=seen.mask, intrinsics=seen.intrinsics)
    return len(loaded.vertices)


def _cloud(seen: Picture) -> int:
    return len(load_object(seen.points(), viewpoint=np.zeros(3)).vertices)


def main() -> None:
    """Load every form of every thing, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT)
    chosen = parser.parse_args()
    found: dict[str, list[dict[str, object]]] = {}
    for name, mesh in things(chosen.count):
        for form, load, size in forms(name, mesh):
            entry: dict[str, object] = {"name": name, "size": size, "left_out": 0, "refused": None}
            try:
                entry["left_out"] = size - load()
            except InputError as error:
                entry["refused"] = str(error)
            if entry["left_out"] or entry["refused"]:
                print(form, entry, flush=True)
            found.setdefault(form, []).append(entry)
    record.write("thin_things", SEED, {"by_form": found}, table(found))


def table(found: dict[str, list[dict[str, object]]]) -> str:
    """Return the results in Markdown.

    Args:
        found: For each form, one entry per thing.
    """
    rows = [["form", "things", "points or faces", "left out", "things that lost some", "refused"]]
    for form, entries in found.items():
        left = [int(str(each["left_out"])) for each in entries]
        rows.append(
            [
                form,
                str(len(entries)),
                str(sum(int(str(each["size"])) for each in entries)),
                str(sum(left)),
                str(sum(number > 0 for number in left)),
                str(sum(each["refused"] is not None for each in entries)),
            ]
        )
    return markdown_table(rows)


if __name__ == "__main__":
    main()
