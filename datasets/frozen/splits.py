"""Read `experiments/splits.json`: the seeds, counts, names and digests of the frozen sets."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grasp import documents
from pcdiff.errors import InputError
from pcdiff.files import atomic_write
from pcdiff.geometry.limits import read_bytes

SPLITS = Path(__file__).resolve().parents[2] / "experiments" / "splits.json"
FORMAT = "pcdiff-grasp/splits"
VERSION = 1
HALVES = ("tune", "report")
"""Settings are chosen on the first half; only results on the second half are reported."""

_KEYS = {"format", "version", "scanned", "licence_of_scanned", "seeds_used_before", "sets"}


@dataclass(frozen=True)
class Scan:
    """A scanned mesh.

    Attributes:
        half: An element of `HALVES`.
        sha256: SHA-256 of the bytes of the mesh's file, as hexadecimal digits.
    """

    half: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Splits:
    """The content of `experiments/splits.json`.

    Attributes:
        scanned: The scanned meshes by name.
        licence: Licence of the scanned meshes.
        used_seeds: Seeds of synthetic objects that training data or earlier evaluations used, each
            with the place of its use.
        sets: The settings of each set by name, without the digest.
        digests: The digest of each set by name; None for a set that was never frozen.
    """

    scanned: dict[str, Scan]
    licence: str
    used_seeds: dict[int, str]
    sets: dict[str, dict[str, Any]]
    digests: dict[str, str | None]

    def half(self, half: str) -> list[str]:
        """Return the names of the scanned meshes of one half, sorted.

        Args:
            half: An element of `HALVES`.
        """
        return sorted(name for name, scan in self.scanned.items() if scan.half == half)


def kind_of_mesh(name: str) -> str:
    """Return the name of a mesh without its size: `cubesmall` and `cubelarge` are both `cube`.

    Args:
        name: Name of a mesh.
    """
    return re.sub(r"(small|medium|large)$", "", name)


def halves(names: Iterable[str]) -> dict[str, str]:
    """Divide names into two halves, by nothing but the names.

    The kinds of the names, i.e. the names without sizes, are sorted by their SHA-256. The first
    half of the kinds is for tuning, the second half for reports. So the sizes of one shape stay
    together, and a setting that was tuned on one size is not reported on another.

    Args:
        names: Names of the meshes.

    Returns:
        For each name, an element of `HALVES`.
    """
    names = sorted(names)
    kinds = sorted(
        {kind_of_mesh(name) for name in names},
        key=lambda kind: hashlib.sha256(kind.encode()).hexdigest(),
    )
    tune = set(kinds[: len(kinds) // 2])
    return {name: HALVES[kind_of_mesh(name) not in tune] for name in names}


def scanned_files(folder: Path) -> dict[str, Path]:
    """Return the .stl meshes in a folder and its subfolders by name, sorted by name.

    Args:
        folder: Folder of meshes.

    Raises:
        InputError: If the folder does not exist or has no mesh, or two meshes have one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist or is not a folder, expected scanned meshes")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.stl")):
        if path.stem in found:
            raise InputError(f"the meshes {found[path.stem]} and {path} have the same name")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder} has no mesh: expected files that end in .stl")
    return dict(sorted(found.items()))


def read_scan(splits: Splits, files: Mapping[str, Path], name: str) -> bytes:
    """Return the bytes of a scanned mesh, and check their digest.

    Args:
        splits: Content of `experiments/splits.json`.
        files: Mesh files by name, from `scanned_files`.
        name: Name of the mesh.

    Raises:
        InputError: If the mesh is missing or has another digest.
    """
    if name not in files:
        raise InputError(f"the scanned mesh {name} is missing: expected a file {name}.stl")
    content = read_bytes(files[name])
    digest = hashlib.sha256(content).hexdigest()
    if digest != splits.scanned[name].sha256:
        raise InputError(
            f"{files[name]} is not the mesh of the frozen sets: its digest is {digest}, expected "
            f"{splits.scanned[name].sha256}"
        )
    return content


def read_splits(path: Path = SPLITS) -> Splits:
    """Read the splits.

    Args:
        path: File to read.

    Raises:
        InputError: If the file is missing or damaged, or has another format.
    """
    try:
        document = _document(path)
        documents.check_keys(document, _KEYS, "the file")
        scanned = {
            name: _scan(name, entry)
            for name, entry in documents.mapping("scanned", document["scanned"]).items()
        }
        before = documents.mapping("seeds_used_before", document["seeds_used_before"])
        sets, digests = {}, {}
        for name, entry in documents.mapping("sets", document["sets"]).items():
            settings = dict(documents.mapping(name, entry))
            digests[name] = documents.optional(settings, "digest", documents.text)
            settings.pop("digest", None)
            sets[name] = settings
        return Splits(
            scanned=scanned,
            licence=documents.text("licence_of_scanned", document["licence_of_scanned"]),
            used_seeds={int(seed): documents.text(seed, use) for seed, use in before.items()},
            sets=sets,
            digests=digests,
        )
    except ValueError as error:  # an InputError, or a seed that is not a number
        raise InputError(f"cannot use {path}: {error}") from error


def write_digests(digests: Mapping[str, str], path: Path = SPLITS) -> None:
    """Replace the digests of sets in the file of splits.

    Args:
        digests: New digests by the name of the set.
        path: File to change.

    Raises:
        InputError: If the file cannot be read or written.
    """
    document = _document(path)
    for name, digest in digests.items():
        document["sets"][name]["digest"] = digest
    with atomic_write(path) as temporary:
        temporary.write_text(_text(document), encoding="utf-8", newline="\n")


def _document(path: Path) -> dict[str, Any]:
    content = read_bytes(path).decode("utf-8")
    document = documents.mapping("the top level", documents.parse_json(content))
    found = document.get("format"), document.get("version")
    if found != (FORMAT, VERSION):
        raise InputError(
            f"the format is {documents.kind_of(found[0])} version {documents.kind_of(found[1])}, "
            f"expected {FORMAT} version {VERSION}"
        )
    return document


def _scan(name: str, entry: object) -> Scan:
    entries = documents.mapping(name, entry)
    documents.check_keys(entries, {"half", "sha256"}, name)
    scan = Scan(
        documents.text("half", entries["half"]), documents.text("sha256", entries["sha256"])
    )
    if scan.half not in HALVES:
        raise InputError(f"the half of {name} must be {' or '.join(HALVES)}, got {scan.half!r}")
    return scan


def _text(document: Any) -> str:
    """Return JSON in which lists and the innermost mappings take one line each."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    inner = re.compile(r"[{\[]\s*([^{}\[\]]*?)\s*[}\]]")

    def joined(match: re.Match[str]) -> str:
        line = match[0][0] + re.sub(r"\s*\n\s*", " ", match[1]) + match[0][-1]
        return line if len(line) <= 100 else match[0]

    return inner.sub(joined, text) + "\n"
