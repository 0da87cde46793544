"""Hostile HDF5 files, weights and training states."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.geometry.contents import GARBAGE
from tests.hostile.case import FIFO, Case

SIMULATE = "grasp simulate {box} {file}"
TRAIN = "pcdiff train {file} --output {out} --steps 1"
JUDGE = "pcdiff evaluate {file} --weights {weights} --no-emd"
SAMPLE = "pcdiff sample --weights {file} --count 1 --output {out}"
GRASP = "grasp sample {box} --count 1 --weights {file}"
BEGIN = "pcdiff train {clouds} --output {out} --steps 1 --initialize-from {file}"
CHAIR = "03001627"
CLOUDS = np.random.default_rng(0).normal(size=(6, 40, 3)).astype(np.float32)
POSES = np.tile(np.eye(4), (5, 1, 1))


def hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        fill(file)
    return content.getvalue()


def elsewhere(place: str) -> dict[str, Callable[[h5py.File], None]]:
    """Ways in which a dataset is not where it seems to be."""
    group = place.rsplit("/", 1)[0]

    def external(file: h5py.File) -> None:
        file[place] = h5py.ExternalLink("other.h5", place)

    def external_group(file: h5py.File) -> None:
        file[group] = h5py.ExternalLink("other.h5", group)

    def external_storage(file: h5py.File) -> None:
        shape = POSES.shape if "grasps" in place else CLOUDS.shape
        file.create_dataset(place, shape, "f4", external=[("other.h5", 0, h5py.h5f.UNLIMITED)])

    def virtual(file: h5py.File) -> None:
        shape = POSES.shape if "grasps" in place else CLOUDS.shape
        layout = h5py.VirtualLayout(shape, "f4")
        layout[:] = h5py.VirtualSource("other.h5", place, shape)
        file.create_virtual_dataset(place, layout)

    def soft(file: h5py.File) -> None:
        file["way"] = h5py.ExternalLink("other.h5", "/")
        file[place] = h5py.SoftLink(f"/way/{place}")

    def circle(file: h5py.File) -> None:
        file[place] = h5py.SoftLink(f"/{group}/again")
        file[f"{group}/again"] = h5py.SoftLink(f"/{place}")

    return {
        "an external link": external,
        "an external link to its group": external_group,
        "external storage": external_storage,
        "a virtual dataset": virtual,
        "a soft link to an external link": soft,
        "a circle of soft links": circle,
        "a soft link to nowhere": lambda f: f.__setitem__(place, h5py.SoftLink("/nothing")),
    }


def absurd(place: str, last: tuple[int, ...]) -> dict[str, Callable[[h5py.File], None]]:
    """Datasets that cannot be read, or that are much larger than the file."""

    def made(
        shape: tuple[int, ...], dtype: Any = "f4", **options: Any
    ) -> Callable[[h5py.File], None]:
        return lambda file: file.create_dataset(place, shape, dtype, **options)

    def bomb(file: h5py.File) -> None:
        rows = file.create_dataset(place, (4 * 10**6, *last), "f4", chunks=(10**6, *last),
                                   compression="gzip")  # fmt: skip
        rows[:10] = 0

    def large_chunk(file: h5py.File) -> None:
        file.create_dataset(place, (10, *last), "f4", chunks=(10**8, *last), maxshape=(None, *last))

    return {
        "10¹² rows": made((10**12, *last)),
        "10¹² rows in chunks": made((10**12, *last), chunks=(10, *last)),
        "text": lambda f: f.__setitem__(place, "text"),
        "no values": lambda f: f.__setitem__(place, h5py.Empty("f4")),
        "a group": lambda f: f.create_group(f"{place}/more"),
        "complex numbers": made((5, *last), "c8"),
        "records": made((5, *last), [("x", "f4")]),
        "one number": lambda f: f.__setitem__(place, 1.0),
        "too many dimensions": made((1,) * 20),
        "a gzip bomb": bomb,
        "chunks of 2 GB": large_chunk,
    }


def archives() -> Iterator[Case]:
    for place, ending, commands, last in (
        ("grasps/transforms", "h5", (SIMULATE,), (4, 4)),
        (
            f"{CHAIR}/train",
            "hdf5",
            (TRAIN, JUDGE.replace("--no-emd", "--split train --no-emd")),
            (40, 3),
        ),
    ):
        for command in commands:
            which = f"{command.split()[0]} {command.split()[1]}"
            for name, fill in {**elsewhere(place), **absurd(place, last)}.items():
                yield Case(f"hdf5 with {name} for {which}", f"a.{ending}", hdf5(fill), command,
                           beside={"other.h5": FIFO})  # fmt: skip
            signature = b"\x89HDF\r\n\x1a\n" + bytes(500)
            for name, content in {
                "nothing": b"", "garbage": GARBAGE, "a pipe": FIFO, "a signature": signature
            }.items():  # fmt: skip
                yield Case(f"hdf5 of {name} for {which}", f"a.{ending}", content, command)

    def labelled(**given: Any) -> bytes:
        more = {name.replace("__", "/"): value for name, value in given.items()}

        def fill(file: h5py.File) -> None:
            for name, value in {"grasps/transforms": POSES, "gripper/type": "panda",
                                "object/file": "box.obj", **more}.items():  # fmt: skip
                file[name] = value

        return hdf5(fill)

    for name, content, sentence in (
        ("a gripper by path", labelled(gripper__type="other/hand.toml"), "gripper/type"),
        ("two gripper types", labelled(gripper__type=["panda", "panda"]), "gripper/type"),
        ("few labels", labelled(grasps__qualities__flex__object_in_gripper=[1]), "success"),
        ("a scale of infinity", labelled(object__scale=np.inf), "scale"),
        ("a mass of text", labelled(object__mass="heavy"), "object/mass"),
    ):  # fmt: skip
        if name == "a gripper by path":
            sentence = "{file}"
        yield Case(f"acronym with {name}", "a.h5", content, SIMULATE, sentence)


def header_of(weights: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and the bytes after it."""
    content = weights.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def safetensors(header: Any, rest: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text) if length is None else length) + text + rest


def with_model(weights: Path, **changes: Any) -> bytes:
    """The weights with another configuration of the model."""
    header, rest = header_of(weights)
    configuration = json.loads(header["__metadata__"]["configuration"])
    model = configuration["model"]
    for name, value in changes.items():
        place, *inner = name.split("__")
        if inner:
            model[place] = {**model[place], inner[0]: value}
        else:
            model[place] = value
    header["__metadata__"]["configuration"] = json.dumps(configuration)
    return safetensors(header, rest)


def damaged(weights: Path, commands: tuple[str, ...]) -> Iterator[Case]:
    header, rest = header_of(weights)
    metadata = header["__metadata__"]

    def said(text: str) -> bytes:
        return safetensors({**header, "__metadata__": {"configuration": text}}, rest)

    first = next(name for name in header if name != "__metadata__")
    absurd = {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}
    other = json.loads(metadata["configuration"])
    contents: dict[str, bytes | str] = {
        "nothing": b"",
        "a pipe": FIFO,
        "garbage": GARBAGE,
        "a header of 2⁶³ bytes": safetensors(header, rest, 2**63),
        "a header of 90 MB": safetensors(b"{" + b" " * (90 * 2**20) + b"}", b""),
        "a header that is a list": safetensors([], rest),
        "a nested header": safetensors(b"[" * 100_000 + b"]" * 100_000, rest),
        "half the tensors": safetensors(header, rest[: len(rest) // 2]),
        "no tensors": safetensors({"__metadata__": metadata}, b""),
        "no configuration": safetensors({**header, "__metadata__": {}}, rest),
        "a tensor of absurd shape": safetensors(
            {**header, first: absurd}, rest
        ),
        "a configuration of garbage": said("{"),
        "a nested configuration": said("[" * 100_000),
        "a configuration of digits": said("9" * 5000),
        "a configuration that is a list": said("[]"),
        "a version of text": said(json.dumps({**other, "version": "1"})),
        "a future version": said(json.dumps({**other, "version": 2})),
        "another kind": said(json.dumps({**other, "kind": "x" * 10**5})),
        "no model": said(json.dumps({**other, "model": None})),
        "a model of text": said(json.dumps({**other, "model": "a"})),
        "a model of nothing": said(json.dumps({**other, "model": {}})),
    }  # fmt: skip
    for name, content in contents.items():
        for command in commands:
            which = " ".join(command.split()[:2])
            yield Case(f"weights of {name} for {which}", "a.safetensors", content, command)


def weights(generator: Path, field: Path) -> Iterator[Case]:
    yield from damaged(generator, (SAMPLE, BEGIN))
    yield from damaged(field, (GRASP,))
    huge, nan = 10**400, float("nan")
    changes: list[dict[str, Any]] = [
        {"latent": value} for value in (0, -4, 3, 2**40, huge, 1.5, "4", True, None, [4])
    ]
    changes += [{"schedule__steps": value} for value in (0, -1, 10**9, huge, 0.5, "a", None)]
    changes += [{"schedule__offset": value} for value in (10**30, huge, -1, nan, "a")]
    changes += [{"schedule__name": value} for value in ("none", 3, ["linear"], "geometric")]
    for part in ("network", "encoder"):
        changes += [
            {part: {"name": "gated" if part == "network" else "pointnet", "options": options}}
            for options in ({"widths": []}, {"widths": [2**40]}, {"widths": [8] * 5000},
                            {"widths": "many"}, {"widths": None}, {"widths": [-8]}, {"a": 1}, [])
        ]  # fmt: skip
    changes += [{"prior": {"name": "flow", "options": options}}
                for options in ({"layers": 10**5}, {"layers": 2**40}, {"layers": 60_000},
                                {"layers": -1}, {"hidden": 2**40}, {"hidden": 60_000})]  # fmt: skip
    changes += [{"kl_weight": value} for value in (huge, nan, -1, "a")]
    changes += [{"standardization": {"mean": [0, 0, 0], "deviation": value}}
                for value in (0, nan, huge, "a")]  # fmt: skip
    changes += [{"standardization": {"mean": value, "deviation": 1}} for value in ([0], "abc", 3)]
    for number, change in enumerate(changes):
        yield Case(f"generator {number} of {str(change)[:60]}", "a.safetensors",
                   with_model(generator, **change), SAMPLE)  # fmt: skip
    changes = [{f"{part}__{name}": value} for part in ("energy", "success")
               for name in ("width", "layers", "summary")
               for value in (0, -1, 2**40, huge, 1.5, "a")]  # fmt: skip
    changes += [{name: value} for name in ("length", "sigma_max", "sigma_min")
                for value in (0, -1, huge, nan, "a")]  # fmt: skip
    changes += [{"layout": 99}, {"grippers": ["a"]}, {"architecture": "x"}, {"protocol": 3}]
    changes += [{"architecture": "paper"}, {"energy": 3}, {"energy__few_probes": "no"}]
    for number, change in enumerate(changes):
        yield Case(f"field {number} of {str(change)[:60]}", "a.safetensors",
                   with_model(field, **change), GRASP)  # fmt: skip


def cases(generator: Path, field: Path) -> list[Case]:
    return [*archives(), *weights(generator, field)]
