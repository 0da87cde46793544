"""A file is written completely or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from pcdiff.errors import InputError
from pcdiff.files import atomic_write, prepare_folder


def test_new_content_takes_the_place_of_the_old_one_in_one_step(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".bin"
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("failure", [KeyError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_alone_and_nothing_else(tmp_path, failure):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(failure), atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise failure
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_is_one_sentence_that_names_the_file(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(InputError) as caught, atomic_write(path):
        raise OSError(28, "No space left on device")
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    assert list(tmp_path.iterdir()) == []


def test_missing_folders_are_made(tmp_path):
    with atomic_write(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_a_symbolic_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "disk" / "target.txt")
    with atomic_write(link) as temporary:
        temporary.write_text("x")
    assert link.is_symlink()
    assert (tmp_path / "disk" / "target.txt").read_text() == "x"


def test_the_longest_name_a_file_system_takes(tmp_path):
    path = tmp_path / ("n" * 250 + ".txt")
    with atomic_write(path) as temporary:
        temporary.write_text("x")
    assert path.read_text() == "x"


def test_permissions_are_those_of_a_usual_new_file(tmp_path):
    usual, path = tmp_path / "usual", tmp_path / "atomic"
    usual.touch()
    with atomic_write(path):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("place", ["folder", "device", "under a file"])
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").touch()
    places = {"folder": tmp_path, "device": os.devnull, "under a file": tmp_path / "file" / "x"}
    with pytest.raises(InputError, match=r"\Acannot write [^\n]+\Z"), atomic_write(places[place]):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class TestPrepareFolder:
    def test_makes_the_folder_and_leaves_it_empty(self, tmp_path):
        assert list(prepare_folder(tmp_path / "a" / "b").iterdir()) == []

    def test_removes_what_a_kill_left_behind_and_nothing_else(self, tmp_path):
        (tmp_path / ".partial-0123.safetensors").write_text("half")
        (tmp_path / "last.safetensors").write_text("whole")
        prepare_folder(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]

    def test_a_file_in_its_place(self, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(InputError, match=r"cannot write into .*out"):
            prepare_folder(tmp_path / "out")
