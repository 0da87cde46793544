"""The error message for a grasp file that cannot be read."""

from __future__ import annotations

import pytest

from grasp.formats import read_grasps
from pcdiff.errors import InputError


def refusal(path, **options):
    """Return the message after checking that it is one short line that names the file."""
    with pytest.raises(InputError) as error:
        read_grasps(path, **options)
    sentence = str(error.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) - len(str(path)) < 300
    return sentence
