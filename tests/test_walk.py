"""An object passes through few files on its way through `grasp sample`.

`python -m pytest tests/test_walk.py -s` prints the walk.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import trimesh

import grasp
from grasp.commands.sample import sample
from grasp.objects.object import Object

ROOT = Path(grasp.__file__).parents[1]
OWN = "grasp/objects/object.py"


class Walk:
    """The files whose functions take or return an `Object`, in the order in which a run meets them.

    The methods of `Object` itself do not count: whoever reads a call of `obj.surface(...)` need not
    open its file.
    """

    def __init__(self):
        self.files: list[str] = []
        self._calls: list[tuple[object, str, bool]] = []
        self._back = ""  # the file to which the last function that took the object returned

    def __call__(self, frame, event, result):
        code = frame.f_code
        file = _of_package(code.co_filename)
        if event not in ("call", "return") or file is None:
            return
        if event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            takes = file != OWN and any(isinstance(frame.f_locals[n], Object) for n in names)
            if takes:
                self._go(self._calls[-1][1] if self._calls else file)
                self._go(file)
            self._calls.append((frame, file, takes))
        elif self._calls and self._calls[-1][0] is frame:
            took = self._calls.pop()[2]
            caller = self._calls[-1][1] if self._calls else ""
            if isinstance(result, Object):
                self._go(file)
                self._go(caller)
            elif took:
                self._back = caller

    def _go(self, file):
        if self._back and self.files and file != self.files[-1]:
            self._enter(self._back)
        self._back = ""
        self._enter(file)

    def _enter(self, file):
        if file not in (OWN, *self.files[-1:]):
            self.files.append(file)


@functools.cache
def _of_package(path):
    """Return the path of a file of the two packages relative to the checkout; None for others."""
    if not Path(path).is_relative_to(ROOT):
        return None
    file = Path(path).relative_to(ROOT).as_posix()
    return file if file.startswith(("grasp/", "pcdiff/")) else None


def test_an_object_goes_through_few_files(tmp_path):
    trimesh.creation.box((0.04, 0.06, 0.12)).export(tmp_path / "box.obj")
    walk = Walk()
    before = sys.getprofile()
    sys.setprofile(walk)
    try:
        sample(tmp_path / "box.obj", count=1, steps=2, output=tmp_path / "grasps.json")
    finally:
        sys.setprofile(before)
    new = {walk.files.index(file) for file in walk.files}
    for number, file in enumerate(walk.files):
        sys.stdout.write(f"{'down' if number in new else 'back'} {file}\n")
    assert walk.files[0] == "grasp/objects/loading.py"
    assert "grasp/field/conditioned.py" in walk.files
    assert len(new) <= 9
    assert len(walk.files) - len(new) <= 4
