"""Check that two revisions compute the same results: run both revisions and compare all bits.

    make digests BASE=REV                          # compare REV with the last commit
    python -m experiments.digests BASE [HEAD]

Each revision runs in its own worktree, with one thread, on inputs from the base revision. The
results are grasps of eight inputs (six meshes, a cloud and a view) for two grippers, sampled
clouds, labels of 200 grasps, 20 training steps of the cloud generator and of two grasp fields,
evaluations of grasps and of clouds, and outputs of the networks with the shipped weights. The study
uses only the commands and the public Python interface of a revision, so private code may change
freely. Exit code 1 means that a result differs by more than the tolerance.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "digests"
"""Folder of worktrees, inputs and results by revision; `make clean` removes the folder."""

FAMILIES = ("mug", "bowl", "bottle", "hammer", "jug", "box")
GRIPPERS = ("panda", "robotiq_2f_85")
OBJECTS = (
    *(f"object-{number}.obj" for number in range(len(FAMILIES))),
    "object-1.ply",
    "object-2.npz",
)
"""Inputs of `grasp sample`: one mesh per family, a point cloud, and a view from one side."""

LABELS = 200
"""Number of grasps to label."""

RENAMED = {
    ": noise.": ": network.",
    "model.noise.": "model.network.",
    "average.noise.": "average.network.",
}
"""Replacements in the names of the cloud network's tensors, which changed after version 0.1.0."""

# Fields of a record that may differ between two revisions with equal results.
_NOT_COMPARED = (
    "version",
    "seconds",
    "cpu_seconds",
    "command",
    "files",
    "picture",
    "sampler",
    "commit",
    "table",
    "weights",
    "device",
    "reason",
    "source",
)

_NETWORKS = """
import numpy as np, torch
import grasp, pcdiff

torch.set_num_threads(1)
found = {}


def add(name, tensor):
    found[name] = tensor.detach().numpy()


def tensors(owner):
    if isinstance(owner, torch.nn.Module):
        return owner.state_dict()
    (module,) = (each for each in vars(owner).values() if isinstance(each, torch.nn.Module))
    return module.state_dict()


field = grasp.GraspField.from_pretrained("panda")
generator = pcdiff.PointCloudGenerator.from_pretrained("chair")
for head, owner in (("field", field), ("clouds", generator)):
    for name, tensor in tensors(owner).items():
        add(f"weights of {head}: {name}", tensor)
for name, kind in (("object-0.obj", "mesh"), ("object-1.ply", "cloud")):
    of = field.condition(grasp.load_object(f"inputs/{name}"))
    g = torch.Generator().manual_seed(1)
    poses = of.draw(40, g).float()
    add(f"draws of a {kind}", poses)
    fixed = torch.from_numpy(np.load("inputs/poses.npy")).float()
    for level in (0.02, 0.2, 1.0):
        value, gradient = of.cost_and_gradient(fixed, level)
        add(f"energy of a {kind} at {level}", value)
        add(f"gradient of a {kind} at {level}", gradient)
    add(f"success of a {kind}", of.success_probability(fixed))
clouds = torch.from_numpy(np.load("inputs/clouds.npy"))[:3]
g = torch.Generator().manual_seed(2)
codes = generator.encode(clouds)
add("codes of clouds", codes)
add("decoded clouds", generator.decode(codes, 500, g, 6))
add("bound of clouds", generator.variational_bound(clouds, g, 5).total)
np.savez("networks.npz", **found)
"""


def main() -> None:
    """Compare the results of two revisions and print the differences."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.digests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", help="base revision to compare with")
    parser.add_argument(
        "head", nargs="?", default="HEAD", help="revision to check (default: the last commit)"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="relative difference to ignore (default: 0)"
    )
    asked = parser.parse_args()
    base, head = (
        _git("rev-parse", "--short=12", f"{each}^{{commit}}") for each in (asked.base, asked.head)
    )
    if base == head:
        sys.exit(f"the two revisions must differ, got {base} twice: state another base")
    trees = [_checked_out(each) for each in (base, head)]
    inputs = _inputs(trees[0], base)
    # The two revisions run side by side, with one thread each.
    with ThreadPoolExecutor(2) as both:
        results = list(both.map(lambda tree: _results(tree, inputs, base), trees))
    differences = compare(*results)
    width = max(map(len, differences), default=0)
    for name, difference in sorted(differences.items()):
        print(f"{name:<{width}}  {difference}")
    count = len(results[0].keys() | results[1].keys())
    beyond = [each for each in differences.values() if not _within(each, asked.tolerance)]
    print(
        f"{base} and {head}: {count - len(differences)} of {count} results are identical"
        + (f"; {len(beyond)} differ by more than {asked.tolerance:g}" if differences else "")
    )
    sys.exit(bool(beyond))


def compare(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float | str]:
    """Find the differences between two sets of results.

    Args:
        one: Results of the base, by name.
        other: Results of the other revision, by name.

    Returns:
        For each result that differs, the largest difference divided by the largest absolute value
        in the base, or a description if there is no numerical difference.
    """
    found: dict[str, float | str] = {}
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            found[name] = f"only in the {'head' if name not in one else 'base'}"
            continue
        a, b = one[name], other[name]
        if a.dtype.kind not in "fiub" or b.dtype.kind not in "fiub":
            if a.shape != b.shape or not bool((a == b).all()):
                found[name] = f"{a.tolist()} became {b.tolist()}"[:200]
        elif a.shape != b.shape:
            found[name] = f"shape {a.shape} became {b.shape}"
        elif a.dtype != b.dtype:
            found[name] = f"{a.dtype} became {b.dtype}"
        elif a.tobytes() != b.tobytes():
            difference = np.abs(a.astype(np.float64) - b.astype(np.float64)).max()
            relative = float(difference / max(np.abs(a.astype(np.float64)).max(), 1e-300))
            found[name] = relative or "the numbers are equal, but their bits are not"
    return found


def _within(difference: float | str, tolerance: float) -> bool:
    return isinstance(difference, float) and difference <= tolerance


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return done.stdout.strip()


def _checked_out(revision: str) -> Path:
    tree = KEPT / revision / "tree"
    if not tree.exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", str(tree), revision)
    return tree


def _run(tree: Path, command: str, folder: Path) -> str:
    """Run `python COMMAND` in a folder with the code of a revision, and return the output."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{tree}: python {command} exited with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _inputs(tree: Path, base: str) -> Path:
    """Return the folder of inputs: objects, a cloud, a view, poses, and clouds to evaluate.

    The base revision generates the inputs once.
    """
    import trimesh

    folder = KEPT / base / f"inputs-{_asker()}"
    if (folder / "clouds.hdf5").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    families = ",".join(FAMILIES)
    made = f"--count {len(FAMILIES)} --families {families} --no-sheet --output set"
    _run(tree, f"-m datasets.household {made}", folder)
    meshes = sorted(
        path
        for path in (folder / "set" / "meshes").glob("*.obj")
        if not path.name.endswith(".parts.obj")
    )
    for index, path in enumerate(meshes):
        shutil.copy(path, folder / f"object-{index}.obj")
        parts = path.with_suffix(".parts.obj")
        if parts.exists():
            shutil.copy(parts, folder / f"object-{index}.parts.obj")
    rng = np.random.default_rng(0)
    mesh = trimesh.load(folder / "object-1.obj", process=False)
    points, _ = trimesh.sample.sample_surface(mesh, 2000, seed=0)
    trimesh.PointCloud(points).export(folder / "object-1.ply")
    _write_view(trimesh.load(folder / "object-2.obj", process=False), folder / "object-2.npz")
    turns = trimesh.transformations
    poses = np.stack([turns.random_rotation_matrix(rng.uniform(size=3)) for _ in range(64)])
    poses[:, :3, 3] = rng.normal(0, 0.08, (64, 3))
    np.save(folder / "poses.npy", poses)
    _write_clouds(folder, rng)
    return folder


def _write_view(mesh: Any, path: Path) -> None:
    """Write a depth image of a mesh from a distance of 60 cm, computed with trimesh's rays."""
    focal, width, height = 300.0, 160, 120
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([(u - 80) / focal, (v - 60) / focal, np.ones_like(u, float)], -1).reshape(-1, 3)
    middle = mesh.bounds.mean(axis=0)
    # The camera looks along -y of the mesh.
    to_mesh = np.array([[1.0, 0, 0], [0, 0, -1], [0, -1, 0]]).T
    origins = np.tile(np.add(middle, [0, 0.6, 0]), (len(rays), 1))
    places, ray, _ = mesh.ray.intersects_location(origins, rays @ to_mesh.T, multiple_hits=False)
    depth = np.zeros(len(rays))
    depth[ray] = (places - origins[ray]) @ [0, -1.0, 0]
    intrinsics = [[focal, 0, 80], [0, focal, 60], [0, 0, 1]]
    np.savez(path, depth=depth.reshape(height, width), intrinsics=np.array(intrinsics, float))


def _write_clouds(folder: Path, rng: np.random.Generator) -> None:
    """Write clouds of ellipsoids in a box from -1 to 1 as a canonical file and as an array."""
    import h5py

    points = rng.normal(size=(40, 600, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    half_axes = rng.uniform(0.3, 1, (40, 1, 3))
    clouds = (points * half_axes / half_axes.max(axis=2, keepdims=True)).astype(np.float32)
    np.save(folder / "clouds.npy", clouds)
    with h5py.File(folder / "clouds.hdf5", "w") as file:
        for split, part in (("train", clouds[:24]), ("val", clouds[24:32]), ("test", clouds[32:])):
            file[f"03001627/{split}"] = part


def _asker() -> str:
    """Return a digest of this module, so that files from other versions of it are not reused."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def _results(tree: Path, inputs: Path, base: str) -> dict[str, np.ndarray]:
    """Return all results of a revision on a folder of inputs.

    The computation takes minutes, so the results are stored for later runs.
    """
    kept = tree.parent / f"results-{base}-{_asker()}.npz"
    if not kept.exists():
        folder = tree.parent / "outputs"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        found = _measure(tree, inputs, folder)
        np.savez(kept, **found)  # type: ignore[arg-type]
    with np.load(kept, allow_pickle=False) as file:
        found = {name: file[name] for name in file.files}
    for old, new in RENAMED.items():
        found = {name.replace(old, new): value for name, value in found.items()}
    return found


def _measure(tree: Path, inputs: Path, folder: Path) -> dict[str, np.ndarray]:
    """Run the commands of a revision in a folder and return all their results by name."""
    found: dict[str, np.ndarray] = {}
    (folder / "inputs").symlink_to(inputs)
    (folder / "networks.py").write_text(_NETWORKS)
    shutil.copytree(inputs / "set", folder / "labelled")

    def ask(name: str, command: str) -> None:
        """Store the JSON object that a command prints with `--json`."""
        answer = json.loads(_run(tree, f"-m {command} --json", folder))
        _flatten(answer["results"], f"{name}: ", found)

    def keep(name: str, file: str) -> None:
        """Store the content of a file that a command wrote."""
        path = folder / file
        if path.suffix == ".json":
            _flatten(json.loads(path.read_text()), f"{name}: ", found)
        elif path.suffix == ".npy":
            found[name] = np.load(path)
        else:
            from safetensors.numpy import load_file

            found.update({f"{name}: {key}": array for key, array in load_file(path).items()})

    for thing in OBJECTS:
        for gripper in GRIPPERS:
            name, output = f"grasps of {thing} with {gripper}", f"{thing}-{gripper}.json"
            ask(
                name,
                f"grasp sample inputs/{thing} --gripper {gripper} --count 20 --output {output}",
            )
            keep(name, output)
    guide = "--approach 0,0,-1,60 --count 10 --thin"
    ask("guided grasps", f"grasp sample inputs/object-0.obj {guide} --output guided.json")
    keep("guided grasps", "guided.json")

    mesh = "inputs/object-3.obj"
    many = f"--count {LABELS} --least-probability 0 --output many.json"
    ask("many grasps", f"grasp sample {mesh} {many}")
    ask("labels", f"grasp simulate {mesh} many.json --workers 1 --output tried.json")
    keep("labels", "tried.json")
    budget = "--samples 60 --candidates 60 --workers 1"
    ask("evaluation of grasps", f"grasp evaluate {mesh} --source many.json {budget}")

    _run(tree, "-m pcdiff sample --count 4 --points 600 --format npy --output clouds", folder)
    for number in range(4):
        keep(f"cloud {number}", f"clouds/cloud-{number:03d}.npy")
    again = "--points 400 --sampler ancestral --format npy --output rebuilt"
    ask("reconstruction", f"pcdiff reconstruct clouds/cloud-000.npy {again}")
    keep("reconstruction", "rebuilt/cloud-000-reconstructed-000.npy")
    budget = "--sets 1 --floor-draws 1 --points 512 --steps 4 --threads 1"
    ask("evaluation of clouds", f"pcdiff evaluate inputs/clouds.hdf5 {budget}")

    steps = "--steps 20 --batch-size 4 --validate-every 10 --threads 1"
    options = f"--output run-clouds --points 256 --mirror x {steps}"
    ask("training of clouds", f"pcdiff train inputs/clouds.hdf5 {options}")
    keep("training of clouds", "run-clouds/last.safetensors")
    _run(tree, "-m datasets.labels labelled --count 60 --workers 1", folder)
    for network in ("default", "paper"):
        name, run = f"training of the {network} field", f"run-{network}"
        options = f"--output {run} --architecture {network} --validate-one-in 3 {steps}"
        ask(name, f"grasp train labelled {options}")
        keep(name, f"{run}/last.safetensors")

    _run(tree, "networks.py", folder)
    with np.load(folder / "networks.npz") as arrays:
        found.update({name: arrays[name] for name in arrays.files})
    return found


def _flatten(value: Any, name: str, into: dict[str, np.ndarray]) -> None:
    """Add each number and string of a JSON value to a dictionary, as an array named by its path."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in _NOT_COMPARED and "seconds" not in key:
                _flatten(each, f"{name}.{key}", into)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for key in value[0]:
            _flatten([each.get(key) for each in value], f"{name}[].{key}", into)
    elif isinstance(value, list) and any(each is None for each in value):
        into[name] = np.array([str(each) for each in value])
    elif value is None:
        into[name] = np.array("none")
    else:
        into[name] = np.array(value)


if __name__ == "__main__":
    main()
