"""Every command, option, target, module and file that the pages name exists."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    )
}
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, flags=re.MULTILINE)) | set(
    re.findall(r"\$\(([A-Z]+)\)", MAKEFILE)
)


def programs() -> dict[str, typer.Typer]:
    """The applications of the library and of the makers, by the words that start them."""
    found = {name: importlib.import_module(f"{name}.cli").app for name in ("pcdiff", "grasp")}
    for path in sorted((ROOT / "datasets").iterdir()):
        module = f"datasets.{path.stem}"
        if path.suffix != ".py" and not (path / "__main__.py").exists():
            continue
        name = module if path.suffix == ".py" else f"{module}.__main__"
        if app := getattr(importlib.import_module(name), "app", None):
            found[module] = app
    return found


def options_of(app: typer.Typer) -> dict[str, set[str]]:
    """The options of each command of an application; "" is the command of a program with one."""
    command = typer.main.get_command(app)
    commands = getattr(command, "commands", {"": command})
    return {
        name: {"--help"}.union(*(each.opts + each.secondary_opts for each in one.params))
        for name, one in commands.items()
    }


COMMANDS = {name: options_of(app) for name, app in programs().items()}


def lines_in_blocks(text: str) -> list[list[str]]:
    """The words of each command line in the shell blocks of a page, without comments."""
    lines = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                lines.append(words)
    return lines


def complaints(words: list[str]) -> list[str]:
    """What is wrong with a command line: a program, command, option or target that is not there."""
    while "=" in words[0]:  # a variable of the environment
        words = words[1:]
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    elif words[0].rpartition("/")[2] == "python" and words[1] == "-m":
        words = words[2:]
    program, *rest = words
    if program == "make":
        named = [word.partition("=") for word in rest]
        missing = [name for name, sign, _ in named if name not in (VARIABLES if sign else TARGETS)]
        return [f"make has no {name}" for name in missing]
    if program == "experiments.NAME":  # stands for any of them
        return []
    if program == "pytest" or program.startswith("experiments."):
        return [] if importlib.util.find_spec(program) else [f"there is no module {program}"]
    if program not in COMMANDS:
        known = {"git", "pip", "cd"}
        return [] if program in known else [f"there is no program {program}"]
    command = "" if "" in COMMANDS[program] else rest[0]
    if command not in COMMANDS[program]:
        return [f"{program} has no command {command}"]
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    return [
        f"{program} {command} has no option {option}"
        for option in sorted(options - COMMANDS[program][command])
    ]


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_in_blocks_exist(page):
    lines = lines_in_blocks(PAGES[page])
    assert [complaint for words in lines for complaint in complaints(words)] == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_options_in_sentences_exist(page):
    sentences = re.sub(r"```.*?```", "", PAGES[page], flags=re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", sentences)
    lines = [span.split() for span in spans]
    starts = ("pcdiff ", "grasp ", "make ", "python -m ")
    named = [
        [word for word in words if word != "…"]
        for span, words in zip(spans, lines, strict=True)
        if span.startswith(starts)
    ]
    assert [complaint for words in named for complaint in complaints(words)] == []
    every = set().union(*(options for each in COMMANDS.values() for options in each.values()))
    options = {words[0] for words in lines if words[0].startswith("--")}
    assert options <= every


@pytest.mark.parametrize("program", ["pcdiff", "grasp"])
def test_the_pages_show_every_command(program):
    shown = {
        words[1]
        for text in PAGES.values()
        for words in lines_in_blocks(text)
        if words[0] == program
    }
    assert shown == COMMANDS[program].keys()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page])
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize(
    "line",
    [
        "pcdiff smaple --count 8",
        "grasp sample MUG.obj --cuont 8",
        "python -m datasets.homes --output x",
        "python -m datasets.labels MESHES --scael 1",
        "make tset",
        "make test TROCH=torch",
        "torchrun --nproc-per-node 2 -m pcdiff trian x",
        "python -m experiments.nothing",
        "unknown-program",
    ],
)
def test_a_slip_is_found(line):
    assert len(complaints(line.split())) == 1
