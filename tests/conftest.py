"""Fixtures that every room of tests may ask for."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

# A shell that runs this in the background lets it ignore Ctrl-C, and so would every program that a
# test starts in order to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def generator() -> torch.Generator:
    """A fresh generator with a fixed seed, so that no test depends on the draws of another."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development data beside the checkout, which not every machine has."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the development data, ../shared/data beside the checkout")
    return SHARED_DATA
