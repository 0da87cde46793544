"""The Python blocks of the README and of the pages in docs/ run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> str:
    """All Python blocks of a page as one program, each at the line where it stands."""
    program, inside = [], False
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            line = "```"
        program.append(line if inside and line != "```" else "")
    return "\n".join(program)


PROGRAMS = {
    page.relative_to(ROOT).as_posix(): program
    for page in PAGES
    if (program := blocks(page).strip())
}


def test_the_pages_have_examples():
    assert {"README.md", "docs/concepts.md", "docs/clouds.md", "docs/grasps.md"} <= PROGRAMS.keys()


@pytest.mark.parametrize("page", PROGRAMS)
def test_examples_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(ROOT / page), page, "exec"), {"__name__": "__main__"})


def test_blocks_keep_their_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Text\n\n```python\nx = 1\n```\n\n```sh\nls\n```\n\n```python\ny = x\n```\n")
    assert re.split("\n", blocks(page)) == ["", "", "", "x = 1", *[""] * 7, "y = x", ""]
