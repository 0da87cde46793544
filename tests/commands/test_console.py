"""What the console adds to any program: exit codes, options named in errors, full disks."""

from __future__ import annotations

import copy
import errno
import importlib
import io
import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import typer

from pcdiff import console
from pcdiff.errors import InputError


def bad_weight() -> None:
    raise InputError("kl_weight must be finite, got inf", parameter="kl_weight")


def test_a_command_names_its_option_in_an_error_of_the_library(capsys):
    app = console.application("Train.")

    @app.command()
    @console.name_options(kl_weight="--kl-weight", distances="--no-emd")
    def train(count: int) -> None:
        assert count == 3
        bad_weight()

    with pytest.raises(SystemExit) as ended:
        console.run(app, ["3"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: kl_weight must be finite, got inf (--kl-weight)\n"


def interrupted_app():
    app = console.application("Train.")

    @app.command()
    def train(clouds: str, resume: bool = False) -> None:
        raise KeyboardInterrupt

    @app.command()
    def sample() -> None:
        raise KeyboardInterrupt

    return app


@pytest.mark.parametrize(
    ("program", "given", "sentence"),
    [
        ("/bin/pcdiff", ["train", "a b"], "pcdiff train 'a b' --resume"),
        ("/lib/pcdiff/__main__.py", ["train", "a"], "python -m pcdiff train a --resume"),
        ("/bin/pcdiff", ["train", "a", "--resume"], "pcdiff train a --resume"),
        ("/bin/pcdiff", ["sample"], None),
    ],
)
def test_an_interrupt_says_how_to_continue(capsys, monkeypatch, program, given, sentence):
    monkeypatch.setattr(sys, "argv", [program, *given])
    with pytest.raises(SystemExit) as ended:
        console.run(interrupted_app())
    assert ended.value.code == 130
    expected = "" if sentence is None else f"interrupted; to continue, run: {sentence}"
    assert capsys.readouterr().err.strip() == expected


def test_an_interrupt_ends_a_program_with_one_command(capsys, monkeypatch):
    app = console.application("Label.")

    @app.command()
    def label(folder: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["/bin/label", "a"])
    with pytest.raises(SystemExit) as ended:
        console.run(app)
    assert ended.value.code == 130
    assert capsys.readouterr().err == ""


def test_a_warning_is_one_line(capsys):
    app = console.application("Warn.")

    @app.command()
    def warn(word: str) -> None:
        warnings.warn("not\n  cached", stacklevel=1)

    with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
        warnings.simplefilter("always")
        console.run(app, ["word"])
    assert ended.value.code == 0
    assert capsys.readouterr().err == "warning: not cached\n"


def test_a_name_that_is_not_utf_8_is_printed(capsys, monkeypatch):
    """The streams of a terminal refuse the surrogates by which Python represents such a name."""
    strict = io.TextIOWrapper(io.BytesIO(), "utf-8", "strict")
    monkeypatch.setattr(sys, "stdout", strict)
    console.Session("show", 0).finish({}, "in a\udcff.ply and \ud800")
    strict.flush()
    assert strict.buffer.getvalue() == b"in a\\xff.ply and \\ud800\n"


def test_an_error_about_another_parameter_stays_as_it_is():
    for options in ({}, {"points": "--points"}):
        with pytest.raises(InputError) as caught, console.name_options(**options):
            bad_weight()
        assert str(caught.value) == "kl_weight must be finite, got inf"
        assert caught.value.parameter == "kl_weight"
    with pytest.raises(InputError, match=r"^broken$"), console.name_options(points="--points"):
        raise InputError("broken")


def test_an_option_is_named_once_where_blocks_are_nested():
    with (
        pytest.raises(InputError, match=r"got inf \(--inner\)$"),
        console.name_options(kl_weight="--outer"),
        console.name_options(kl_weight="--inner"),
    ):
        bad_weight()


def test_an_error_keeps_its_parameter_between_processes():
    with pytest.raises(InputError) as caught:
        bad_weight()
    other = copy.copy(caught.value)  # by the protocol that multiprocessing passes it on with
    assert (str(other), other.parameter) == (str(caught.value), "kl_weight")


@pytest.mark.parametrize(("rank", "shown"), [(None, True), ("0", True), ("1", False)])
def test_only_the_first_process_prints(capsys, monkeypatch, rank, shown):
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    session = console.Session("train", 0)
    session.note("a remark")
    session.finish({}, "done")
    out, err = capsys.readouterr()
    assert (out, err) == (("done\n", "a remark\n") if shown else ("", ""))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "error: No space left on device: the system does not name the file\n",
        ),
        (OSError(errno.EIO, "broken", "a.txt"), "error: broken: a.txt\n"),
    ],
)
def test_standard_output_is_not_blamed_for_other_files(capsys, error, sentence):
    """A full folder of temporary files, say."""
    app = console.application("Fail.")

    @app.command()
    def fail(word: str) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        console.run(app, ["word"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == sentence


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("moment", ["write", "flush"])
def test_a_full_disk_behind_standard_output(capsys, monkeypatch, as_json, moment):
    app = console.application("Print.")

    class Full(io.StringIO):
        def full(self, *arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

    setattr(Full, moment, Full.full)

    @app.command()
    def show(word: str) -> None:
        console.Session("show", 0, as_json=as_json).finish({}, "text")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(SystemExit) as ended:
        console.run(app, ["word"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: No space left on device: standard output\n"


PROGRAMS = {
    name: typer.main.get_command(importlib.import_module(f"{name}.cli").app).commands
    for name in ("pcdiff", "grasp")
}


@pytest.mark.parametrize(
    ("program", "command"),
    [(program, command) for program, names in PROGRAMS.items() for command in ("", *names)],
)
def test_every_command_takes_both_spellings_of_help(program, command, capsys):
    app, said = importlib.import_module(f"{program}.cli").app, []
    for spelling in ("-h", "--help"):
        with pytest.raises(SystemExit) as ended:
            console.run(app, [*([command] if command else []), spelling])
        assert ended.value.code == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "-h, --help" in said[0]


@pytest.mark.parametrize(
    ("program", "typed", "completed"),
    [("grasp", "grasp si", "simulate"), ("pcdiff", "pcdiff sample --temp", "--temperature")],
)
def test_the_shell_completes_commands_and_options(program, typed, completed):
    code = f"import sys; sys.argv = ['{program}']; from {program}.cli import main; main()"
    typing = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    typing[f"_{program.upper()}_COMPLETE"] = "complete_bash"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **typing},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [completed], done.stderr


def test_a_bar_appears_only_after_its_delay(capsys, monkeypatch):
    """And the amount of work may change while it goes on."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then treats the standard error as a terminal
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: clock.now))
    for seconds, shown in ((1.9, False), (2.1, True)):
        with console.progress("sampling", None, after=2.0) as advance:
            advance(1, total=4)
            clock.now += seconds
            advance(1, total=5)
            advance(3)
        said = capsys.readouterr().err
        assert ("sampling" in said and "5/5" in said) == shown
        assert shown or said == ""
    with console.progress("training", 3, shown=False) as advance:
        advance()
    assert capsys.readouterr().err == ""
    with console.progress("training", 3) as advance:
        advance(3, "loss 1")
    assert "loss 1" in capsys.readouterr().err
