"""Point clouds on disk and in a common scale.

The canonical file is HDF5 with one dataset a category and split,
`/{ShapeNet synset id}/{train|val|test}`, float32 of shape (shapes, points, 3): the layout of the
widely used `shapenet.hdf5`, which is therefore read as it is. Groups, datasets and attributes
beside these are ignored. Coordinates carry the unit and the axes of their source, which the file's
attributes state; nothing here rescales them unless it is asked to, by `normalize_to_box`.
"""

from __future__ import annotations

import contextlib
import os
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from pcdiff import randomness
from pcdiff.errors import InputError
from pcdiff.files import atomic_write

if TYPE_CHECKING:
    import h5py

LARGEST_ROUNDING = 1e-4
"""How far, as a part of its extent, rounding to float32 may move a point of a cloud."""

SPLITS = ("train", "val", "test")

SYNSETS = {
    "airplane": "02691156",
    "bag": "02773838",
    "basket": "02801938",
    "bathtub": "02808440",
    "bed": "02818832",
    "bench": "02828884",
    "birdhouse": "02843684",
    "bookshelf": "02871439",
    "bottle": "02876657",
    "bowl": "02880940",
    "bus": "02924116",
    "cabinet": "02933112",
    "camera": "02942699",
    "cap": "02954340",
    "car": "02958343",
    "cellphone": "02992529",
    "chair": "03001627",
    "clock": "03046257",
    "dishwasher": "03207941",
    "earphone": "03261776",
    "faucet": "03325088",
    "file_cabinet": "03337140",
    "guitar": "03467517",
    "helmet": "03513137",
    "jar": "03593526",
    "keyboard": "03085013",
    "knife": "03624134",
    "lamp": "03636649",
    "laptop": "03642806",
    "mailbox": "03710193",
    "microphone": "03759954",
    "microwave": "03761084",
    "monitor": "03211117",
    "motorcycle": "03790512",
    "mug": "03797390",
    "piano": "03928116",
    "pillow": "03938244",
    "pistol": "03948459",
    "pot": "03991062",
    "printer": "04004475",
    "remote_control": "04074963",
    "rifle": "04090263",
    "rocket": "04099429",
    "skateboard": "04225987",
    "sofa": "04256520",
    "speaker": "03691459",
    "stove": "04330267",
    "table": "04379243",
    "telephone": "04401088",
    "tin_can": "02946921",
    "tower": "04460130",
    "train": "04468005",
    "trash_bin": "02747177",
    "vessel": "04530566",
    "washer": "04554684",
}
"""The 55 categories of ShapeNetCore v2 (Chang et al. 2015): common name to WordNet synset id."""

_NAMES = {synset: name for name, synset in SYNSETS.items()}


def synset_id(category: str) -> str:
    """The group that holds a category: the synset id of a common name, anything else unchanged.

    Args:
        category: a name in `SYNSETS` ("Remote control" and "remote-control" are accepted for
            "remote_control"), a synset id, or the name of a category that ShapeNet lacks.
    """
    return SYNSETS.get(re.sub(r"[ -]", "_", category.strip().lower()), category)


def describe_category(category: str) -> str:
    """The group's name with the common name beside it, if it has one: "03001627 (chair)"."""
    group = synset_id(category)
    return f"{group} ({_NAMES[group]})" if group in _NAMES else group


# --- The canonical file ---------------------------------------------------------------------------


def categories(path: str | os.PathLike[str]) -> dict[str, dict[str, int]]:
    """What a canonical file holds: the number of shapes in each split of each category.

    Args:
        path: a canonical HDF5 file.

    Returns:
        `{category: {split: shapes}}`, categories sorted, splits in the order of `SPLITS`.

    Raises:
        InputError: the file is missing, damaged, or has another layout.
    """
    with _canonical_file(path) as datasets:
        return {
            category: {split: _shapes(dataset) for split, dataset in splits.items()}
            for category, splits in datasets.items()
        }


def read_clouds(
    path: str | os.PathLike[str], category: str, split: str
) -> Float[Tensor, "shapes points 3"]:
    """Read one split of one category, and no more than that, into memory.

    Args:
        path: a canonical HDF5 file.
        category: a synset id or a common name, e.g. "03001627" or "chair".
        split: "train", "val" or "test".

    Returns:
        The clouds as float32 (other floating-point types are converted), in the file's unit.

    Raises:
        InputError: the file is missing, damaged or has another layout; the category or the split
            is not there; the dataset has another shape or type, no shapes, fewer than 2 points a
            shape, or a number that is not finite.
    """
    if split not in SPLITS:
        raise InputError(f"the split must be train, val or test, not {split!r}")
    with _canonical_file(path) as datasets:
        group = category if category in datasets else synset_id(category)
        if group not in datasets:
            there = ", ".join(describe_category(each) for each in datasets)
            raise InputError(f"{path} has no category {category!r}, it has {there}")
        if split not in datasets[group]:
            raise InputError(
                f"{path} has no split {split!r} of category {describe_category(group)}, "
                f"it has {', '.join(datasets[group])}"
            )
        dataset = datasets[group][split]
        what = f"the dataset /{group}/{split} of {path}"
        _check_layout(what, dataset.shape, dataset.dtype)
        # Converted while it is read: no second copy in the file's type.
        clouds = np.empty(dataset.shape, np.float32)
        dataset.read_direct(clouds)
    _check_finite(what, clouds)
    return torch.from_numpy(clouds)


def write_clouds(
    path: str | os.PathLike[str],
    clouds: Mapping[str, Mapping[str, Tensor | NDArray[Any]]],
    attributes: Mapping[str, str | int | float] | None = None,
) -> None:
    """Write a canonical file completely or not at all.

    Args:
        path: the HDF5 file to write; one that exists is replaced.
        clouds: `{category: {split: (shapes, points, 3)}}`; a common name is written as its synset
            id, floating-point numbers as float32.
        attributes: attributes of the file: where the clouds come from, their unit, their axes.

    Raises:
        InputError: there is nothing to write, an array breaks the rules of `read_clouds`, or the
            file cannot be written.
    """
    with cloud_writer(path, attributes) as writer:
        for category, splits in clouds.items():
            for split, array in splits.items():
                writer.write(category, split, array)


@contextlib.contextmanager
def cloud_writer(
    path: str | os.PathLike[str], attributes: Mapping[str, str | int | float] | None = None
) -> Iterator[CloudWriter]:
    """`write_clouds` one split at a time, for sets that do not fit in memory.

    The file appears at `path` when the body ends, and not at all when it raises.

    Args:
        path: the HDF5 file to write; one that exists is replaced.
        attributes: attributes of the file.

    Raises:
        InputError: the file cannot be written, or the body has written nothing.
    """
    import h5py

    with atomic_write(path) as temporary:
        with _write_errors(path):
            file = h5py.File(temporary, "w")
        try:
            with _write_errors(path):
                file.attrs.update(attributes or {})
            writer = CloudWriter(path, file)
            yield writer
            if not len(file):
                raise InputError(f"cannot write {path}: there are no clouds to write")
        finally:
            with _write_errors(path):
                file.close()


class CloudWriter:
    """What `cloud_writer` yields: a canonical file that is being written."""

    def __init__(self, path: str | os.PathLike[str], file: h5py.File) -> None:
        """For `cloud_writer` only; `path` is the file's name in messages."""
        self._path = path
        self._file = file

    def write(self, category: str, split: str, clouds: Tensor | NDArray[Any]) -> None:
        """Add one split; arguments and errors as for `write_clouds`."""
        group = synset_id(category)
        if split not in SPLITS:
            raise InputError(f"the split must be train, val or test, not {split!r}")
        if not group or "/" in group or group == ".":
            raise InputError(f"{category!r} cannot be the name of a category in {self._path}")
        name = f"/{group}/{split}"
        if name in self._file:
            raise InputError(f"the split {split} of {describe_category(group)} was given twice")
        array = clouds.detach().cpu().numpy() if isinstance(clouds, Tensor) else clouds
        what = f"the array for {name} of {self._path}"
        _check_layout(what, array.shape, array.dtype)
        array = _to_float32(array)
        _check_finite(what, array)
        with _write_errors(self._path):
            self._file.create_dataset(name, data=array)


@contextlib.contextmanager
def _canonical_file(
    path: str | os.PathLike[str],
) -> Iterator[dict[str, dict[str, h5py.Dataset]]]:
    """Open a canonical file as `{category: {split: dataset}}`, never empty."""
    import h5py

    if not Path(path).exists():
        raise InputError(f"{path} does not exist")
    if not Path(path).is_file():
        raise InputError(f"{path} is not a file, expected an HDF5 file of point clouds")
    try:
        if not h5py.is_hdf5(path):
            Path(path).open("rb").close()  # tells an unreadable file from one of another format
            raise InputError(f"{path} is not an HDF5 file")
        with h5py.File(path, "r") as file:
            datasets: dict[str, dict[str, h5py.Dataset]] = {}
            for category, group in file.items():
                if isinstance(group, h5py.Group):
                    splits = {split: group.get(split) for split in SPLITS}
                    found = {k: v for k, v in splits.items() if isinstance(v, h5py.Dataset)}
                    if found:
                        datasets[category] = found
            if not datasets:
                there = f"it holds {', '.join(sorted(file))}" if len(file) else "it is empty"
                raise InputError(
                    f"{path} has another layout than /{{synset id}}/{{train|val|test}}: {there}"
                )
            yield datasets
    except InputError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:  # h5py's, if damaged
        raise InputError(f"{path} cannot be read as HDF5: {_reason(error)}") from error


@contextlib.contextmanager
def _write_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file that the user asked for, not the temporary one."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises the latter when closing fails
        raise InputError(f"cannot write {path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The operating system's words where HDF5's message has an error number, else that message."""
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    number = re.search(r"errno = (\d+)", message)
    return os.strerror(int(number[1])) if number else _one_sentence(message)


def _one_sentence(message: str) -> str:
    return " ".join(message.split()).split(". ")[0].rstrip(".")


def _to_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # beyond float32 lies inf, which the callers refuse by name
        return np.ascontiguousarray(array, np.float32)


def _shapes(dataset: h5py.Dataset) -> int:
    return int(dataset.shape[0]) if dataset.shape else 0


def _check_layout(what: str, shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> None:
    if not shape or len(shape) != 3 or shape[2] != 3:
        raise InputError(f"{what} has shape {shape}, expected (shapes, points, 3)")
    if dtype.kind != "f":
        raise InputError(f"{what} has type {dtype}, expected floating point")
    if shape[0] == 0:
        raise InputError(f"{what} has no shapes")
    if shape[1] < 2:
        raise InputError(f"{what} has {shape[1]} points a shape, expected at least 2")


def _check_finite(what: str, clouds: NDArray[np.float32]) -> None:
    for index, cloud in enumerate(clouds):
        if not np.isfinite(cloud).all():
            raise InputError(f"{what} has a coordinate that is not finite in shape {index}")


# --- One cloud a file -----------------------------------------------------------------------------


def load_cloud(path: str | os.PathLike[str]) -> Float[Tensor, "points 3"]:
    """Read one point cloud from a `.ply`, `.xyz` or `.npy` file.

    A `.ply` file with faces is a mesh and is refused: its vertices are not spread over its
    surface, and which points stand for it is the caller's choice. An `.xyz` file has one point a
    line, three numbers first; what follows them (normals, colours) is ignored. A `.npy` file holds
    an array (points, 3) and nothing pickled.

    Args:
        path: the file; the extension says the format.

    Returns:
        The points as float32, in the file's unit and frame.

    Raises:
        InputError: the file is missing or damaged, a mesh, of another format or shape, has fewer
            than 2 points or a coordinate that is not finite.
    """
    path = Path(path)
    readers = {".ply": _read_ply, ".xyz": _read_xyz, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is not a cloud file: expected the extension .ply, .xyz or .npy")
    if not path.is_file():
        raise InputError(f"{path} does not exist or is not a file")
    try:
        points = reader(path)
    except InputError:
        raise
    except _DAMAGED as error:
        # What else readers say of a damaged file is about their own variables.
        ours = isinstance(error, OSError | ValueError) and str(error)
        reason = _one_sentence(str(error)) if ours else "it is damaged"
        raise InputError(f"{path} cannot be read as {path.suffix.lower()}: {reason}") from error
    return torch.from_numpy(_checked_cloud(str(path), points))


def save_cloud(path: str | os.PathLike[str], cloud: Float[Tensor, "points 3"]) -> None:
    """Write one point cloud, so that `load_cloud` returns exactly the same float32 numbers.

    Args:
        path: a `.ply` (binary), `.xyz` (text) or `.npy` file; one that exists is replaced, and a
            write that fails leaves it as it was.
        cloud: the points, at least 2.

    Raises:
        InputError: the extension is another one, the cloud breaks the rules of `load_cloud`, or the
            file cannot be written.
    """
    points = _checked_cloud(f"the cloud for {path}", cloud.detach().cpu().numpy())
    suffix = Path(path).suffix.lower()
    if suffix not in (".ply", ".xyz", ".npy"):
        raise InputError(f"cannot write {path}: expected the extension .ply, .xyz or .npy")
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        if suffix == ".ply":
            header = (
                "ply\nformat binary_little_endian 1.0\n"
                f"element vertex {len(points)}\n"
                "property float x\nproperty float y\nproperty float z\nend_header\n"
            )
            file.write(header.encode() + points.astype("<f4").tobytes())
        elif suffix == ".xyz":
            np.savetxt(file, points, fmt="%.9g")  # 9 digits identify every float32
        else:
            np.save(file, points, allow_pickle=False)


# What trimesh's and NumPy's readers raise for damaged files, the last two NumPy's only; their
# authors promise no narrower set.
_DAMAGED = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    NameError,
    EOFError,
    tokenize.TokenError,
)


def _read_ply(path: Path) -> NDArray[Any]:
    import trimesh

    loaded = trimesh.load(path, file_type="ply", process=False)
    with path.open("rb") as file:
        header = file.read(2**16).split(b"end_header")[0]
    if len(getattr(loaded, "faces", ())) or b"element tristrips" in header:
        raise InputError(
            f"{path} is a mesh, expected a point cloud: sample points on its surface first"
        )
    return np.asarray(getattr(loaded, "vertices", np.empty((0, 3))))


def _read_xyz(path: Path) -> NDArray[Any]:
    lines = [line for line in path.read_text().splitlines() if line.split("#")[0].strip()]
    table = np.loadtxt(lines, ndmin=2) if lines else np.empty((0, 3))
    if table.shape[1] < 3:
        raise InputError(f"{path} has {table.shape[1]} numbers a line, expected at least 3")
    return table[:, :3]


def _read_npy(path: Path) -> NDArray[Any]:
    # A memory map cannot hold pickled objects, and `numpy.load` would advise to allow them.
    return np.array(np.lib.format.open_memmap(path, mode="r"))


def _checked_cloud(what: str, points: NDArray[Any]) -> NDArray[np.float32]:
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"{what} has shape {points.shape}, expected (points, 3)")
    if points.dtype.kind not in "fiu":
        raise InputError(f"{what} has type {points.dtype}, expected real numbers")
    if len(points) < 2:
        raise InputError(f"{what} has {len(points)} points, expected at least 2")
    converted = _to_float32(points)
    _check_precision(what, points, converted)
    finite = np.isfinite(converted).all(axis=1)
    if not finite.all():
        raise InputError(f"{what} has a coordinate that is not finite in point {finite.argmin()}")
    return converted


def _check_precision(what: str, points: NDArray[Any], converted: NDArray[np.float32]) -> None:
    """Refuse a small cloud far from the origin, whose shape float32 would lose."""
    if points.dtype == np.float32 or not np.isfinite(converted).all():
        return
    lost = float(np.abs(converted - points).max())
    extent = float(np.ptp(points, axis=0).max())
    if lost > LARGEST_ROUNDING * extent:
        raise InputError(
            f"{what} is {extent:.3g} wide but so far from its origin that float32 moves its points "
            f"by {lost:.2g}: subtract its centre first"
        )


# --- Scale and size -------------------------------------------------------------------------------


@dataclass(frozen=True)
class BoxNormalization:
    """How each cloud was moved and scaled: x' = (x - centre) / half_longest_side.

    Attributes:
        centre: centre of each cloud's axis-aligned bounding box, in the clouds' unit.
        half_longest_side: half the longest side of that box, in the clouds' unit.
    """

    centre: Float[Tensor, "shapes 3"]
    half_longest_side: Float[Tensor, " shapes"]

    def apply(self, clouds: Float[Tensor, "shapes points 3"]) -> Float[Tensor, "shapes points 3"]:
        """From the clouds' unit to the common scale, in which the box touches [-1, 1]."""
        return (clouds - self.centre[:, None]) / self.half_longest_side[:, None, None]

    def invert(self, clouds: Float[Tensor, "shapes points 3"]) -> Float[Tensor, "shapes points 3"]:
        """From the common scale back to the clouds' unit."""
        return clouds * self.half_longest_side[:, None, None] + self.centre[:, None]


def normalize_to_box(
    clouds: Float[Tensor, "shapes points 3"],
) -> tuple[Float[Tensor, "shapes points 3"], BoxNormalization]:
    """Centre each cloud on its bounding box and divide by half that box's longest side.

    Args:
        clouds: the clouds, in any unit.

    Returns:
        The clouds in [-1, 1]³, the longest side of each filling it, and what was done to them.

    Raises:
        InputError: a cloud has no extent (all its points are equal) or one that is not finite; the
            sentence names its index.
    """
    if clouds.shape[1] == 0:
        raise InputError("clouds without points cannot be normalised")
    low, high = clouds.amin(dim=1), clouds.amax(dim=1)
    half_longest_side = (high / 2 - low / 2).amax(dim=1)
    usable = (half_longest_side > 0) & half_longest_side.isfinite()
    if not usable.all():
        index = int((~usable).nonzero()[0])
        raise InputError(
            f"cloud {index} cannot be normalised: half its longest side is "
            f"{float(half_longest_side[index])}, expected a finite number above 0"
        )
    normalization = BoxNormalization(low / 2 + high / 2, half_longest_side)
    return normalization.apply(clouds), normalization


def subsample(
    clouds: Float[Tensor, "shapes points 3"], points: int, generator: randomness.Generator
) -> Float[Tensor, "shapes chosen 3"]:
    """Choose points of each cloud at random, without replacement, in random order.

    Args:
        clouds: the clouds.
        points: how many points to keep of each.
        generator: one generator, or one for each cloud.

    Raises:
        InputError: the clouds have fewer points than that, or `points` is less than 1.
    """
    shapes, available, _ = clouds.shape
    if not 1 <= points <= available:
        raise InputError(f"cannot choose {points} points of clouds that have {available}")
    # The order of independent uniform numbers is a uniform permutation; float64 makes ties rare.
    keys = randomness.uniform((shapes, available), generator, torch.float64, clouds.device)
    chosen = keys.argsort(dim=1)[:, :points]
    return clouds.gather(1, chosen[..., None].expand(-1, -1, 3))
