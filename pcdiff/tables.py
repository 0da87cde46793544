"""A function that formats Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]], *, aligned: bool = False) -> str:
    """Format rows as a Markdown table without a trailing line break.

    Args:
        rows: Cells of each row. The first row is the header, and all rows have equal lengths.
        aligned: True to pad the cells of each column to the same width.
    """
    head, *body = rows
    lines: list[Sequence[str]] = [head, ["---"] * len(head), *body]
    if aligned:
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        lines = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)
