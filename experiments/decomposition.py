"""Compare the convex cover with coacd: parts, CPU time, error of the shape, collisions, trial time.

    python -m experiments.decomposition ../shared/data

The folder contains `object_sim`, `ycb_grasps` and `acronym_examples`. The settings of coacd are
those that this project used before the cover. Each object is also measured with its exact parts if
they are known. A mug that is bent by smooth random waves of 1 mm imitates a scan.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datasets.household.objects import make
from experiments import record
from experiments.calibrate_simulation import load
from grasp.grippers.gripper import load_gripper
from grasp.judging.candidates import candidates
from grasp.objects.loading import load_object
from grasp.objects.object import Object, Part
from grasp.physics import PROTOCOL
from grasp.physics.body import rigid_body
from grasp.physics.cover import CoverSettings, convex_cover
from grasp.physics.decomposition import SETTINGS
from grasp.physics.fidelity import shape_error, shape_warning
from grasp.physics.trial import World

SEED = 0
SIM = ("mug", "cup", "bowl", "teapot", "wineglass", "fryingpan")
YCB = (
    "024_bowl",
    "019_pitcher_base",
    "006_mustard_bottle",
    "035_power_drill",
    "052_extra_large_clamp",
)
COACD = {"threshold": 0.03, "max_convex_hull": 100, "mcts_iterations": 30, "mcts_max_depth": 2}
PROGRAM = """
import json, sys, coacd, numpy as np
mesh = np.load(sys.argv[1])
coacd.set_log_level("error")
found = coacd.run_coacd(coacd.Mesh(mesh["vertices"], mesh["faces"]), **json.loads(sys.argv[3]))
np.savez(sys.argv[2], **{f"vertices{i}": part[0] for i, part in enumerate(found)},
         **{f"faces{i}": part[1] for i, part in enumerate(found)})
"""
POSES, TRIALS, SURFACE = 300, 100, 40_000
REACH = 0.03
"""Largest distance in metres from the tool centre point of a pose to a point of the surface."""


def objects(folder: Path) -> list[Object]:
    """Load the objects of the study."""
    found = [load(folder / "acronym_examples", "Mug").obj]
    found += [load_object(next((folder / "object_sim" / name).glob("*.stl"))) for name in SIM]
    found += [load_object(folder / "ycb_grasps" / f"{name}.stl") for name in YCB]
    for family in ("mug", "bowl"):
        made = make(family, SEED, 0)
        parts = tuple((vertices, faces) for vertices, faces in made.parts)
        whole = Object.from_mesh(made.vertices, made.faces, name=f"made {family}", parts=parts)
        found.append(whole)
        if family == "mug":
            found.append(bent(whole))
    return found


def bent(obj: Object) -> Object:
    """Bend a mesh by smooth random waves of 1 mm root mean square, as an imitation of a scan."""
    from trimesh.remesh import subdivide_to_size

    rng = np.random.default_rng(SEED)
    vertices, faces = subdivide_to_size(obj.vertices, obj.faces, 0.004)
    waves = rng.normal(size=(16, 3))
    waves *= 2 * np.pi / rng.uniform(0.01, 0.05, (16, 1)) / np.linalg.norm(waves, axis=1)[:, None]
    phases, towards = rng.uniform(0, 2 * np.pi, 16), rng.normal(size=(16, 3))
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    shift = np.sqrt(2 / 16) * 1e-3 * np.cos(vertices @ waves.T + phases) @ towards
    return Object.from_mesh(vertices + shift, faces, name=f"{obj.name}, bent")


def coacd_parts(obj: Object) -> list[Part]:
    """Run coacd in a process, which it may abort, with remeshing if it fails without."""
    with tempfile.TemporaryDirectory() as folder:
        mesh, parts = Path(folder) / "mesh.npz", Path(folder) / "parts.npz"
        assert obj.faces is not None
        np.savez(mesh, vertices=obj.vertices, faces=obj.faces)
        for mode in ("auto", "on"):
            settings = json.dumps({**COACD, "preprocess_mode": mode, "seed": SEED})
            command = [sys.executable, "-c", PROGRAM, str(mesh), str(parts), settings]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                break
        with np.load(parts) as found:
            return [
                (found[f"vertices{i}"].astype(np.float64), found[f"faces{i}"].astype(np.int64))
                for i in range(len(found.files) // 2)
            ]


def poses_and_truth(obj: Object) -> tuple[np.ndarray, np.ndarray]:
    """Draw poses of the open hand near the surface, half of which collide with the surface.

    A hand collides if a point of the surface is inside one of its boxes, deeper than the tolerance.
    """
    rng, panda = np.random.default_rng(SEED), load_gripper("panda")
    points, _ = obj.surface(SURFACE, rng)
    boxes = [*panda.hand_boxes, *(box for side in panda.fingers(panda.stroke) for box in side)]
    chosen: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for _ in range(200 * POSES):
        pose = np.eye(4)
        pose[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        pose[:3, 2] *= np.linalg.det(pose[:3, :3])
        offset = rng.uniform(-REACH, REACH, 3)
        pose[:3, 3] = points[rng.integers(SURFACE)] + offset
        pose[:3, 3] -= pose[:3, :3] @ panda.tool_center_point
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        collides = any(
            (np.abs(local - box.centre) < np.array(box.half_extents) - PROTOCOL.collision_tolerance)
            .all(axis=1)
            .any()
            for box in boxes
        )
        if len(chosen[collides]) < POSES // 2:
            chosen[collides].append(pose)
        if all(len(each) == POSES // 2 for each in chosen.values()):
            break
    poses = np.stack([*chosen[True], *chosen[False]])
    return poses, np.arange(len(poses)) < len(chosen[True])


def measure(
    obj: Object, parts: Sequence[Part], seconds: float, poses: np.ndarray, truth: np.ndarray
) -> dict[str, Any]:
    """Measure convex parts; `seconds` is the CPU time in which they were made."""
    error = shape_error(obj, parts)
    panda = load_gripper("panda")
    # The same mass for all parts, because some meshes are open and the parts differ in volume.
    body = rigid_body(obj, parts, 0.2, PROTOCOL.density)
    world = World(body, panda, PROTOCOL.friction, PROTOCOL)
    found = np.array([world.collides(pose, panda.stroke) for pose in poses])
    tried = candidates(obj, panda, TRIALS, np.random.default_rng(SEED)).poses
    spent = time.process_time()
    failures = [world.trial(pose).failure for pose in tried]
    spent = time.process_time() - spent
    return {
        "parts": len(parts),
        "cpu_seconds": seconds,
        "missed": error.missed,
        "inflated": error.inflated,
        "filled_cm3": 1e6 * error.filled,
        "filled_share_of_hull": error.filled / error.hull,
        "false_collisions": float(found[~truth].mean()),
        "missed_collisions": float((~found[truth]).mean()),
        "agreement": float((found == truth).mean()),
        "trial_ms": 1e3 * spent / max(1, len(tried)),
        "successes": failures.count(""),
        "warning": shape_warning(obj.name, error),
    }


def main() -> None:
    """Measure all objects, print the table and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    results: dict[str, Any] = {"coacd": COACD, "cover": SETTINGS, "objects": {}}
    lines = [
        "| object | method | parts | CPU s | missed % | inflated % | filled cm³ "
        "| agreement of collisions % | trial ms | successes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for obj in objects(parser.parse_args().folder):
        poses, truth = poses_and_truth(obj)
        rows: dict[str, tuple[list[Part], float]] = {}
        start = _cpu(resource.RUSAGE_CHILDREN)
        parts = coacd_parts(obj)
        rows["coacd"] = (parts, _cpu(resource.RUSAGE_CHILDREN) - start)
        start = _cpu(resource.RUSAGE_SELF)
        parts = convex_cover(obj, CoverSettings())
        rows["cover"] = (parts, _cpu(resource.RUSAGE_SELF) - start)
        if obj.parts is not None:
            rows["exact"] = (list(obj.parts), 0.0)
        entry = {
            name: measure(obj, parts, seconds, poses, truth)
            for name, (parts, seconds) in rows.items()
        }
        results["objects"][obj.name] = entry
        for name, row in entry.items():
            lines.append(
                f"| {obj.name} | {name} | {row['parts']} | {row['cpu_seconds']:.1f} "
                f"| {100 * row['missed']:.1f} | {100 * row['inflated']:.1f} "
                f"| {row['filled_cm3']:.1f} | {100 * row['agreement']:.1f} "
                f"| {row['trial_ms']:.1f} | {row['successes']} |"
            )
            print(lines[-1], flush=True)
    record.write("decomposition", SEED, results, "\n".join(lines))


def _cpu(who: int) -> float:
    """Return the CPU-seconds of this process or of its finished children, with all threads."""
    spent = resource.getrusage(who)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
