"""Markdown tables, character by character."""

from __future__ import annotations

import pytest

from pcdiff.tables import markdown_table

ROWS = [("object", "held, %"), ("mug", "7"), ("a long name", "–")]


def test_plain_cells_are_not_padded():
    assert markdown_table(ROWS) == (
        "| object | held, % |\n| --- | --- |\n| mug | 7 |\n| a long name | – |"
    )


def test_aligned_columns_have_the_width_of_their_longest_cell():
    assert markdown_table(ROWS, aligned=True) == (
        "| object      | held, % |\n"
        "| ---         | ---     |\n"
        "| mug         | 7       |\n"
        "| a long name | –       |"
    )


def test_aligned_columns_are_at_least_as_wide_as_the_rule():
    assert markdown_table([("a", "b"), ("", "c")], aligned=True) == (
        "| a   | b   |\n| --- | --- |\n|     | c   |"
    )


def test_rows_of_different_lengths_are_an_error():
    with pytest.raises(ValueError, match="shorter"):
        markdown_table([("a", "b"), ("c",)], aligned=True)
