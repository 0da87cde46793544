"""Hostile grasp files, scenes, grippers and benchmark sets in JSON, YAML and TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator

from grasp.grippers.gripper import SHIPPED
from tests.geometry.contents import GARBAGE
from tests.hostile.case import FIFO, Case
from tests.hostile.geometry import nested

SIMULATE = "grasp simulate {box} {file}"
EVALUATE = "grasp evaluate {box} --source {file}"
SCENE = "grasp sample {box} --count 1 --weights {field} --scene {file}"
GRIPPER = "grasp sample {box} --count 1 --weights {field} --gripper {file}"

POSE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -0.1], [0, 0, 0, 1]]
OURS = {
    "format": "pcdiff-grasp/grasps",
    "version": 1,
    "unit": "metre",
    "frame": "object mesh file",
    "gripper": {"name": "panda", "approach": "+z", "closing": "+x"},
    "object": {"file": "box.obj", "scale": 1.0},
    "grasps": [{"pose": POSE}],
}
GRASPGEN = {
    "object": {"file": "box.obj", "scale": 1.0},
    "gripper": {"name": "franka_panda"},
    "grasps": {"transforms": [POSE], "object_in_gripper": [True]},
}
ISAAC = """format: isaac_grasp
format_version: 1.0
object_frame: object mesh file
gripper_frame: gripper
unit: metre
gripper: panda
grasps:
  grasp_0: {confidence: 0.9, position: [0, 0, -0.1], orientation: {w: 1.0, xyz: [0, 0, 0]}}
"""
PANDA = (SHIPPED / "panda.toml").read_text("utf-8")
DIGITS = "9" * 5000


def with_text(document: dict, place: str, text: str) -> bytes:
    """JSON of a document in which a text stands in place of the value "PLACE"."""
    return json.dumps(document).replace(f'"{place}"', text).encode()


def any_text(ending: str, command: str) -> Iterator[Case]:
    """What no reader of a document may accept."""
    keys = b",".join(b'"k%d": 1' % index for index in range(10**5))
    contents: dict[str, bytes | str] = {
        "nothing": b"",
        "a pipe": FIFO,
        "garbage": GARBAGE,
        "zeros": bytes(5000),
        "half a character": b'{"a": "\xc3',
        "UTF-16": '{"a": 1}'.encode("utf-16"),
        "nested lists": nested(100_000),
        "nested mappings": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        "a huge number": DIGITS.encode(),
        "a list": b"[1, 2]",
        "a text": b'"text"',
        "unfinished text": b'{"a": "',
        "a key twice": b'{"a": 1, "a": 2}',
        "10⁵ keys and one twice": b"{" + keys + b', "k0": 1}',
        "unknown keys": b'{"a": 1}',
    }  # fmt: skip
    for what, content in contents.items():
        name = f"{command.split('--')[-1].split()[0]} {ending} of {what}"
        yield Case(f"{name} for {command.split()[1]}", f"a.{ending}", content, command)


def grasps() -> Iterator[Case]:
    def ours(name: str, sentence: str, **changes) -> Case:
        return Case(name, "a.json", json.dumps({**OURS, **changes}).encode(), SIMULATE, sentence)

    for path in ("elsewhere/gripper.toml", "/etc/passwd", "../hand.toml", "a\0b", "hand.toml", "",
                 "x" * 10**5):  # fmt: skip
        gripper = {**OURS["gripper"], "name": path}  # type: ignore[dict-item]
        yield ours(f"json naming the gripper {path[:20]!r}", "must name one of the grippers",
                   gripper=gripper)  # fmt: skip
        other = {**GRASPGEN, "gripper": {"name": path}}
        yield Case(f"graspgen naming the gripper {path[:20]!r}", "a.json",
                   json.dumps(other).encode(), SIMULATE, "must name one of the gri")  # fmt: skip
        isaac = ISAAC.replace("gripper: panda", f"gripper: {json.dumps(path)}")
        yield Case(f"isaac naming the gripper {path[:20]!r}", "a.yaml", isaac.encode(), SIMULATE,
                   "must name one of the grippers")  # fmt: skip
    yield ours("json of a version of 5000 digits", "version", version=10**4000)
    yield ours("json of version true", "version", version=True)
    yield ours("json of a scale of 10⁴⁰⁰", "scale", object={"scale": 10**400})
    yield ours("json of a scale of 0", "scale", object={"scale": 0})
    yield ours("json of no grasps", "neither grasps nor a reason", grasps=[])
    yield ours("json of grasps that are text", "must be a mapping", grasps=["a"])
    yield ours("json of a pose of NaN", "finite", grasps=[{"pose": [[float("nan")] * 4] * 4}])
    yield ours("json of a pose of zeros", "pose", grasps=[{"pose": [[0] * 4] * 4}])
    yield ours("json of ragged poses", "4 numbers", grasps=[{"pose": [[0] * 4] * 3 + [[0]]}])
    yield ours("json of a long failure", "200 characters",
               grasps=[{"pose": POSE, "failure": "x" * 10**6}] * 2)  # fmt: skip
    yield ours("json of a large sampler", "100000 values", sampler={"a": list(range(10**5 + 1))})
    yield ours("json of a sampler that is text", "sampler", sampler="a")
    yield ours("json of a unit of lists", "unit", unit=["m"])
    for number in ("1e999", DIGITS, "-1e999", '"1"', "true", "null", "{}", "[[]]"):
        document = {**OURS, "grasps": [{"pose": [["PLACE", 0, 0, 0], *POSE[1:]]}]}
        yield Case(f"json of a pose with {number[:6]}", "a.json",
                   with_text(document, "PLACE", number), SIMULATE)  # fmt: skip
    lists = b'{"grasps": [' + b"[]," * 6_000_000 + b"[]]}"
    yield Case("json of lists that need much memory", "a.json", lists, SIMULATE, "MiB")
    broken = {**GRASPGEN, "grasps": {"transforms": [POSE], "object_in_gripper": [1, 1]}}
    yield Case(
        "graspgen of unequal lists", "a.json", json.dumps(broken).encode(), SIMULATE, "2 entries"
    )

    def isaac_file(name: str, text: str, sentence: str = "{file}") -> Case:
        return Case(f"isaac {name}", "a.yaml", text.encode(), SIMULATE, sentence)

    lines = ["a0: &a0 {x: 1, y: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 15)]
    yield isaac_file("of merged merges", ISAAC + "\n".join(lines), "copies of its aliases")
    bomb = ["a0: &a0 [0, 0, 0, 0]"]
    bomb += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 15)]
    sampled = json.dumps(OURS)[1:-1] + ", "
    aliases = f"{{{sampled}{', '.join(bomb)}, sampler: {{a: *a14}}}}"
    yield isaac_file("of a sampler of aliases", aliases, "100000 values")
    yield isaac_file("of a sampler that contains itself",
                     "{" + sampled + "sampler: &s {a: *s}}", "100000 values")  # fmt: skip
    yield isaac_file("that runs a command", "!!python/object/apply:os.system ['true']")
    yield isaac_file("of an unknown alias", ISAAC + "more: *nothing\n", "alias")
    yield isaac_file(
        "of many values", ISAAC + "more: [" + "1," * 2_100_000 + "1]\n", "2000000 values"
    )
    yield isaac_file("of a number with underscores", ISAAC.replace("0.9", "1" + "_0" * 5000))
    yield isaac_file("of sexagesimals", ISAAC.replace("0.9", "1:" + ":".join(["59"] * 3000)))
    yield isaac_file("of an impossible date", ISAAC + "more: 2020-99-99\n")
    yield isaac_file("of a number that is text", ISAAC + "more: !!int a\n")
    yield isaac_file("of a set", ISAAC.replace("[0, 0, -0.1]", "!!set {0, 1}"))


def scenes() -> Iterator[Case]:
    def scene(name: str, text: str, sentence: str, **beside: bytes | str) -> Case:
        return Case(f"scene {name}", "a.yaml", text.encode(), SCENE, sentence, dict(beside), True)

    yield scene(
        "of a mesh that is a pipe", "meshes: [{file: b.obj}]", "not a file", **{"b.obj": FIFO}
    )
    yield scene("of a mesh that is missing", "meshes: [{file: b.obj}]", "b.obj")
    yield scene(
        "of another kind of file", "meshes: [{file: b.dat}]", "must end in", **{"b.dat": b"box\n"}
    )
    yield scene("of a name with a zero", 'meshes: [{file: "a\\0.obj"}]', "meshes[0]")
    yield scene("of a long name", f"meshes: [{{file: {'a' * 5000}.obj}}]", "meshes[0]")
    yield scene("of a huge box", "boxes: [{size: [1e300, 1, 1]}]", "size")
    yield scene("of a box of 10⁴⁰⁰", f"boxes: [{{size: [{'9' * 400}, 1, 1]}}]", "size")
    yield scene("of a scale of NaN", "meshes: [{file: b.obj, scale: .nan}]", "scale")
    yield scene("of a far table", "table: {position: [0, 0, 1e300]}", "position")
    yield scene("of two poses", "table: {position: [0, 0, 0], pose: []}", "got both forms")
    yield scene("of a pose of NaN", "table: {pose: [[.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], "
                "[0, 0, 0, 1]]}", "finite")  # fmt: skip
    yield scene("of text", "boxes: many", "boxes must be a list")
    yield scene("with an unknown key", "robots: []", "robots")


def grippers() -> Iterator[Case]:
    def gripper(name: str, text: str | bytes, sentence: str = "{file}") -> Case:
        content = text if isinstance(text, bytes) else text.encode()
        return Case(f"gripper {name}", "a.toml", content, GRIPPER, sentence)

    yield Case("gripper that is a pipe", "a.toml", FIFO, GRIPPER, "not a file")
    yield gripper("of nothing", "")
    yield gripper("of garbage", GARBAGE, "UTF-8")
    yield gripper("of nested lists", "a = " + "[" * 1500 + "]" * 1500)
    yield gripper("of a key of 50,000 parts", "a" + ".a" * 50_000 + " = 1\n", "at most 2000 char")
    yield gripper("of a long text", PANDA + "#" + "\n# long" * 100_000, "bytes")
    yield gripper("of a huge number", PANDA.replace("stroke = ", "stroke = 0x" + "f" * 1500 + " #"))
    yield gripper("of a name that is a path", PANDA.replace('"panda"', '"../../x"'), "name must be")
    for key in ("stroke", "max_force", "mass"):
        for value in ("nan", "inf", "-1", "0", '"a"', "true", "[]", "1e300"):
            lines = [
                f"{key} = {value}" if line.startswith(key) else line for line in PANDA.split("\n")
            ]
            yield gripper(f"with a {key} of {value}", "\n".join(lines), key)


def sets() -> Iterator[Case]:
    command = "grasp evaluate --set small --sets {folder}"
    for name, content in {
        "nothing": b"", "garbage": GARBAGE, "nested": nested(100_000), "digits": DIGITS.encode(),
        "a list": b"[]", "unknown keys": b"{}",
        "an infinite digest": b'{"format": "pcdiff-grasp/benchmark", "version": 1, "a": Infinity}',
    }.items():  # fmt: skip
        yield Case(f"set of {name}", "small/set.json", content, command, "set.json")
    yield Case("set that is a pipe", "small/set.json", FIFO, command, "set.json")


def cases() -> list[Case]:
    texts = [*any_text("json", SIMULATE), *any_text("yaml", SIMULATE), *any_text("json", EVALUATE)]
    # These texts are fine in YAML, or a sentence about another thing is due.
    texts += [each for each in any_text("yaml", SCENE) if "of nothing" not in each.name]
    return [*texts, *grasps(), *scenes(), *grippers(), *sets()]
