"""The error for wrong input, and the catch-all of the readers."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from pcdiff.errors import LONGEST_CAUSE, InputError, reading


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("POSITION"), "cannot be read as a glb file: KeyError: 'POSITION'"),
        (struct.error("needs 4 bytes"), "cannot be read as a glb file: error: needs 4 bytes"),
        (zipfile.BadZipFile("two\n  lines"), "as a glb file: BadZipFile: two lines"),
        (AssertionError(), "cannot be read as a glb file: AssertionError"),
        (RecursionError("deep"), "as a glb file: RecursionError: deep"),
        (MemoryError("728 TiB"), "as a glb file: it needs more memory than there is"),
        (PermissionError(13, "Permission denied"), "a.glb cannot be read: Permission denied"),
        (OSError("no number"), "a.glb cannot be read as a glb file: OSError: no number"),
    ],
)
def test_any_error_of_a_reader_is_one_sentence_with_its_cause(error, words):
    with pytest.raises(InputError) as caught, reading(Path("a.glb"), "a glb file"):
        raise error
    assert str(caught.value).startswith("a.glb") and str(caught.value).endswith(words)
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


def test_a_sentence_about_the_input_stays_as_it_is():
    error = InputError("a.glb is empty", parameter="unit")
    with pytest.raises(InputError) as caught, reading("a.glb", "a glb file"):
        raise error
    assert caught.value is error


def test_a_long_message_of_a_library_is_cut():
    with pytest.raises(InputError) as caught, reading("a", "b"):
        raise ValueError("x" * 10**6)
    assert len(str(caught.value)) < LONGEST_CAUSE + 60


def test_an_interruption_is_not_an_error_of_the_file():
    with pytest.raises(KeyboardInterrupt), reading("a", "b"):
        raise KeyboardInterrupt
