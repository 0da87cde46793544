"""Checks of numbers, of files and of their sizes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pcdiff.bounds import check_real, check_whole, shown
from pcdiff.errors import InputError
from pcdiff.untrusted import (
    LARGEST_EXPANSION,
    SMALL,
    check_expansion,
    check_json,
    file_size,
    printable,
    read_bytes,
)


@pytest.mark.parametrize("value", [True, 0, 11, 10**400, 1.0, "3", None, [3]])
def test_whole_numbers_outside_the_limits_are_refused(value):
    with pytest.raises(InputError, match=r"^width must be a whole number from 1 to 10") as caught:
        check_whole("width", value, 1, 10)
    assert caught.value.parameter == "width" and len(str(caught.value)) < 130


@pytest.mark.parametrize("value", [False, -0.1, 2, 10**400, float("nan"), float("inf"), "1", None])
def test_numbers_outside_the_limits_are_refused(value):
    with pytest.raises(InputError, match=r"^scale must be a number from 0 to 1, got ") as caught:
        check_real("scale", value, 0, 1)
    assert caught.value.parameter == "scale"


def test_numbers_within_the_limits_are_accepted():
    for whole in (1, 10, np.int64(3)):
        check_whole("width", whole, 1, 10)
    for real in (0, 1, 0.5, np.float32(0.5), np.int8(1)):
        check_real("scale", real, 0, 1)


def test_values_are_shown_in_short():
    assert shown("a" * 100) == "'" + "a" * 56 + "..."
    assert shown([1, 2]) == "[1, 2]"
    assert shown(10**5000) == "a value of type int that is too large to show"


def test_only_regular_files_of_a_sensible_size_are_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert file_size(path, 5) == 5 and read_bytes(path, 5) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name, limit, sentence in (
        ("file", 4, "file has 5 bytes, expected at most 4 bytes"),
        ("none", 4, "none does not exist"),
        ("", 4, "is not a file"),
        ("pipe", 4, "pipe is not a file"),
        ("link", 4, "link is not a file"),
        ("file/more", 4, "more cannot be read: Not a directory"),
        ("n" * 300, 4, "cannot be read: File name too long"),
        ("a\0b", 4, "cannot be read: embedded null byte"),
    ):
        with pytest.raises(InputError, match=rf"{sentence}$"):
            read_bytes(tmp_path / name, limit)
    with pytest.raises(InputError, match="is not a file"):
        read_bytes("/dev/zero", 4)


def test_data_that_unpack_to_far_more_than_is_stored_are_refused():
    check_expansion("x", SMALL, 0)
    check_expansion("x", LARGEST_EXPANSION * SMALL, SMALL)
    with pytest.raises(InputError, match=r"^x must store at least 1 byte per 32 unpacked bytes"):
        check_expansion("x", LARGEST_EXPANSION * SMALL + 1, SMALL)


@pytest.mark.parametrize("kind", [str, str.encode])
def test_json_that_needs_much_more_memory_than_its_text_is_refused(kind):
    grasp = '{"pose": [[1.0, 0.0, 0.0, 0.123456789], [0.0, 1.0, 0.0, 0.0]], "width": 0.05},'
    check_json(kind(grasp * 200_000))
    with pytest.raises(InputError, match=r"must need at most 512 MiB of memory, got .* MiB"):
        check_json(kind("[]," * 8_000_000))


def test_names_that_are_no_utf_8_can_be_printed():
    assert printable(os.fsdecode(b"a\xff\xc3\xa9\x80")) == "a\\xffé\\x80"
    assert printable("\ud800") == "\\ud800"
    printable(os.fsdecode(bytes(range(1, 256)))).encode("utf-8", "strict")
