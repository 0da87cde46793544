"""The plan of the house: who may import whom, what is shipped, and what no file may hold."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pcdiff", "grasp", "datasets", "experiments")

# A module belongs to the room with the longest name that it starts with. A room may import itself
# and the rooms listed here.
BASE = {"pcdiff.errors", "pcdiff.randomness", "pcdiff.bounds", "pcdiff.untrusted", "pcdiff.texts"}
CORE = BASE | {"pcdiff.manifolds", "pcdiff.diffusion", "pcdiff.embeddings"}
TOOLS = {"pcdiff.files", "pcdiff.console", "pcdiff.learning", "pcdiff.drawing", "pcdiff.geometry"}
TOOLS |= {"pcdiff.tables", "pcdiff.hdf5", "pcdiff.locks"}
CLOUDS = {"pcdiff", "pcdiff.clouds", "pcdiff.clouds.networks", "pcdiff.clouds.metrics"}
THINGS = {"grasp.documents", "grasp.digest", "grasp.poses", "grasp.objects", "grasp.grippers"}
FIELD = {"grasp.field", "grasp.field.networks"}
JUDGE = {"grasp.physics", "grasp.judging"}
GRASPS = {"grasp", "grasp.formats", "grasp.scenes", "grasp.costs", "grasp.pictures"}
GRASPS |= {"grasp.robots"}
GRASPS |= THINGS | FIELD | JUDGE
ARROWS: dict[str, set[str]] = {
    # The shared core.
    "pcdiff.errors": set(),
    "pcdiff.bounds": {"pcdiff.errors"},
    "pcdiff.untrusted": {"pcdiff.errors"},
    "pcdiff.texts": {"pcdiff.errors", "pcdiff.bounds", "pcdiff.untrusted"},
    "pcdiff.randomness": {"pcdiff.errors"},
    "pcdiff.manifolds": BASE,
    "pcdiff.diffusion": BASE | {"pcdiff.manifolds"},
    "pcdiff.embeddings": set(),
    # What both heads need.
    "pcdiff.files": BASE,
    "pcdiff.locks": {"pcdiff.errors"},
    "pcdiff.hdf5": BASE | {"pcdiff.files"},
    "pcdiff.console": BASE,
    "pcdiff.tables": set(),
    "pcdiff.learning": CORE | {"pcdiff.files", "pcdiff.locks", "pcdiff.console", "pcdiff.drawing"},
    "pcdiff.drawing": BASE | {"pcdiff.files", "pcdiff.geometry"},
    "pcdiff.geometry": BASE,
    # Head 1.
    "pcdiff.clouds.networks": {"pcdiff.embeddings"},
    "pcdiff.clouds.metrics": BASE | {"pcdiff.geometry"},
    "pcdiff.clouds": CORE | TOOLS | CLOUDS,
    "pcdiff": CLOUDS | {"pcdiff.errors"},
    "pcdiff.commands": CORE | TOOLS | CLOUDS,
    "pcdiff.cli": {"pcdiff.console", "pcdiff.commands"},
    "pcdiff.__main__": {"pcdiff.cli"},
    # What is grasped, with what, amid what.
    "grasp.documents": BASE,
    "grasp.digest": set(),
    "grasp.poses": BASE | {"pcdiff.geometry"},
    "grasp.objects": BASE | {"pcdiff.files", "pcdiff.geometry", "grasp.poses", "grasp.documents"},
    "grasp.grippers": BASE | {"grasp.documents", "grasp.digest", "grasp.poses", "pcdiff.geometry"},
    "grasp.scenes": BASE | THINGS | {"pcdiff.geometry"},
    "grasp.formats": BASE
    | THINGS
    | {"pcdiff.files", "pcdiff.hdf5", "pcdiff.geometry", "grasp.formats.notebook"},
    "grasp.formats.notebook": BASE | THINGS | {"grasp.pictures", "pcdiff.drawing"},
    "grasp.costs": BASE | {"grasp.grippers"},
    # An arm carries a gripper; the maps between configurations and poses are those of the core.
    "grasp.robots": BASE | {"grasp.documents", "grasp.grippers", "grasp.poses", "pcdiff.manifolds"},
    # Head 2 and its judge.
    "grasp.field.networks": BASE | {"pcdiff.embeddings", "grasp.grippers"},
    "grasp.field": CORE | TOOLS | GRASPS - JUDGE - {"grasp"},
    "grasp.physics": BASE | THINGS | {"pcdiff.files"},
    "grasp.judging": CORE | TOOLS | GRASPS,
    "grasp.labelling": CORE | TOOLS | GRASPS,
    "grasp.pictures": BASE | THINGS | {"pcdiff.drawing", "grasp.scenes"},
    "grasp": GRASPS,
    "grasp.batches": {"grasp.field"},
    "grasp.simulation": {"grasp.physics"},
    "grasp.commands": CORE | TOOLS | GRASPS | {"grasp.labelling"},
    "grasp.cli": {"pcdiff.console", "grasp.commands"},
    "grasp.__main__": {"grasp.cli"},
    # What stands on the library.
    "datasets": CORE | TOOLS | CLOUDS | GRASPS | {"grasp.labelling"},
    "experiments": CORE | TOOLS | CLOUDS | GRASPS | {"grasp.labelling", "datasets"},
}

# The rooms of the theory stay on torch; the others may use what pyproject.toml declares.
THIRD_PARTY: dict[str, set[str]] = {
    "pcdiff.errors": set(),
    "pcdiff.bounds": set(),
    "pcdiff.untrusted": set(),
    "pcdiff.texts": set(),
    "pcdiff.manifolds": {"torch", "jaxtyping"},
    "pcdiff.diffusion": {"torch", "jaxtyping"},
    "pcdiff.embeddings": {"torch", "jaxtyping"},
    "grasp.field.networks": {"torch", "jaxtyping", "numpy"},
    "pcdiff.clouds.networks": {"torch", "jaxtyping"},
}

HEAVY = {"torch", "numpy", "scipy", "h5py", "trimesh", "matplotlib", "mujoco"}
"""Modules that take long to import, which nothing needs before it works with numbers."""

LARGEST_WHEEL = 15 * 2**20
"""Bytes."""


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The room of a module, or None for a module from outside."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in ARROWS), None)


def imports_of(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: an import must name the whole module"
            # `from pcdiff import networks` names a room only together with what it imports.
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            by_name = ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
            if by_name and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)


def forbidden_imports(module: str, source: str) -> list[str]:
    room = room_of(module)
    assert room is not None, f"{module} is in no room"
    complaints = []
    for line, imported in imports_of(source):
        target = room_of(imported)
        if target is None:
            top = imported.split(".")[0]
            allowed = THIRD_PARTY.get(room)
            fine = allowed is None or top in allowed or top in sys.stdlib_module_names
        else:
            fine = target == room or target in ARROWS[room]
        if not fine:
            complaints.append(f"line {line}: {module} ({room}) imports {imported} ({target})")
    return complaints


MODULES = {
    module_name(path, ROOT): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def test_every_module_is_in_a_room():
    """Only the packages themselves are in the rooms `pcdiff` and `grasp`."""
    assert [name for name in MODULES if room_of(name) in {"pcdiff", "grasp"} - {name}] == []


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_along_the_arrows(module):
    assert forbidden_imports(module, MODULES[module].read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("pcdiff.manifolds.so3", "import scipy.linalg"),
        ("pcdiff.manifolds.so3", "from pcdiff.diffusion.schedules import Schedule"),
        ("pcdiff.diffusion.samplers", "from pcdiff.clouds.networks import gated"),
        ("pcdiff.clouds.networks.gated", "from pcdiff import diffusion"),
        ("pcdiff.clouds.generator", "def f():\n    import grasp.field.model"),
        ("pcdiff.learning.trainer", "from pcdiff import PointCloudGenerator"),
        ("pcdiff.clouds.sampling", "from pcdiff.commands.options import Points"),
        ("pcdiff.commands.train", "from pcdiff.cli import app"),
        ("grasp.commands.train", "from pcdiff.commands.options import Points"),
        ("grasp.field.model", "from pcdiff.cli import main"),
        ("grasp.field.model", "from grasp.commands.options import Scale"),
        ("grasp.commands.train", "from grasp.cli import app"),
        ("grasp.field.model", "import datasets"),
        ("grasp.field.model", "from grasp.simulation import simulate"),
        ("grasp.field.model", "from grasp import evaluate"),
        ("grasp.field.model", "import importlib\nimportlib.import_module('grasp.judging')"),
        ("pcdiff.embeddings", "import scipy.spatial"),
        ("pcdiff", "from experiments.bench import run"),
        ("datasets.household", "import experiments.bench"),
    ],
)
def test_import_against_the_arrows_is_found(module, statement):
    assert len(forbidden_imports(module, statement)) == 1


def test_the_library_imports_what_its_requirements_bring():
    """Else a module works here, where the tools for development are, and fails for a user."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    chosen = ("curves", "drake", "notebook", "planning")
    required = [*project["dependencies"], *(text for extra in chosen for text in extras[extra])]
    names = {canonicalize_name(Requirement(text).name) for text in required}
    # Drake is not installed on platforms without its wheel.
    homes = {**importlib.metadata.packages_distributions(), "pydrake": ["drake"]}
    foreign = {
        imported.split(".")[0]
        for module, path in MODULES.items()
        if module.split(".")[0] in ("pcdiff", "grasp")
        for _, imported in imports_of(path.read_text("utf-8"))
    } - {*sys.stdlib_module_names, *PACKAGES}
    undeclared = {
        top for top in foreign if names.isdisjoint(map(canonicalize_name, homes.get(top, [])))
    }
    assert undeclared == set()


@functools.cache
def targets_of(module: str) -> set[str]:
    """The modules of the project that a module imports, at its top or inside a function."""
    found = set()
    for _, imported in imports_of(MODULES[module].read_text("utf-8")):
        parts = imported.split(".")
        names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        target = next((name for name in names if name in MODULES), None)
        if target not in (None, module):
            found.add(target)
    return found


def circle_in(arrows: dict[str, set[str]]) -> list[str]:
    """Some nodes on a circle of a graph, or none if there is no circle."""
    left = dict(arrows)
    while leaves := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in leaves:
            del left[node]
    return sorted(left)


def test_no_modules_import_each_other_in_a_circle():
    assert circle_in({module: targets_of(module) for module in MODULES}) == []


def test_no_rooms_import_each_other_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for module in MODULES:
        targets = {room_of(target) for target in targets_of(module)}
        arrows.setdefault(room_of(module), set()).update(targets - {room_of(module)})
    assert circle_in(arrows) == []


def test_a_circle_is_found():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


MOST_PARAMETERS, MOST_LINES = 8, 450


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef, module: str) -> bool:
    decorators = " ".join(ast.unparse(each) for each in function.decorator_list)
    return module.endswith(f".commands.{function.name}") or "app.command" in decorators


@pytest.mark.parametrize("module", MODULES)
def test_functions_take_few_parameters(module):
    """Only a command, which has a parameter for each option, may have more."""
    long = []
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = node.args
        count = sum(map(len, (arguments.posonlyargs, arguments.args, arguments.kwonlyargs)))
        if count > MOST_PARAMETERS and not is_command(node, module):
            long.append(f"{node.name} takes {count}")
    assert long == []


def test_no_file_is_long():
    files = [*MODULES.values(), *sorted((ROOT / "tests").rglob("*.py"))]
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("module", MODULES)
def test_module_says_what_it_is_for(module):
    assert ast.get_docstring(ast.parse(MODULES[module].read_text("utf-8")))


def output_of(*command: str | Path) -> str:
    """What a command run in the checkout prints; if it fails, so does the test, with its words."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("package", ["pcdiff", "grasp"])
def test_package_imports_without_heavy_modules(package):
    loaded = output_of(sys.executable, "-c", f"import sys, {package}; print(*sys.modules)").split()
    assert package in loaded
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("package", ["pcdiff", "grasp"])
def test_help_needs_no_heavy_module(package):
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules))\n"
        f"from {package}.cli import main\n"
        "sys.argv = ['program', '--help']\n"
        "main()"
    )
    said = output_of(sys.executable, "-c", program)
    assert "Usage: program" in said
    assert HEAVY.isdisjoint(said.splitlines()[-1].split())


@pytest.mark.parametrize("package", ["pcdiff", "grasp"])
def test_every_public_name_of_a_package_is_where_its_types_say(package):
    source = MODULES[package].read_text("utf-8")
    homes = {
        alias.name: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module.startswith(package)
        for alias in node.names
    }
    module = importlib.import_module(package)
    assert sorted(module.__all__) == sorted(homes)
    for name, home in homes.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


@pytest.mark.parametrize("package", ["pcdiff", "grasp"])
def test_dir_lists_the_public_names_before_they_are_imported(package):
    listed = output_of(sys.executable, "-c", f"import {package}; print(*dir({package}))").split()
    assert set(importlib.import_module(package).__all__) <= set(listed)
    assert not {"Any", "TYPE_CHECKING"} & set(listed)


def test_wheel_holds_the_two_packages_and_their_data(tmp_path):
    output_of(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size <= LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    shipped = {
        path.relative_to(ROOT).as_posix()
        for package in ("pcdiff", "grasp")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".typed", ".md", ".safetensors", ".toml"}
    }
    assert {name.split("/")[0] for name in names} == {"pcdiff", "grasp"}
    assert {"pcdiff/py.typed", "grasp/py.typed"} <= names
    assert shipped <= names


def test_no_file_names_a_place_on_someones_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the project is not known")
    # Files not yet added count too: better found before the commit than after.
    listing = output_of("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    files = [ROOT / name for name in listing.split("\0") if name]
    place = re.compile(rb"(?<![\w.])/(home|root|work|Users)/\w")
    found = [path for path in files if path.is_file() and place.search(path.read_bytes())]
    assert found == []
