"""Fixtures that every room of tests may ask for."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from grasp.grippers.gripper import Gripper, load_gripper

# A shell that runs this in the background lets it ignore Ctrl-C, and so would every program that a
# test starts in order to interrupt it.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

NO_REGISTRY = "the registry cannot be reached"
NO_DATA = "needs the development data, ../shared/data beside the checkout"
ALLOWED = (NO_REGISTRY, NO_DATA)
"""Reasons to skip a test that `--fail-on-skip` lets pass."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help=f"fail if a test is skipped, unless for one of the reasons: {'; '.join(ALLOWED)}",
    )
    parser.addoption(
        "--fuzz-inputs", type=int, default=500, help="damaged files per reader in tests/fuzz"
    )
    parser.addoption("--device", help="accelerator for the tests in tests/device, e.g. cuda")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn skipped tests into a failure where everything has to run."""
    if _must_not_skip(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say why a run without a failed test fails."""
    if skipped := _must_not_skip(config):
        terminalreporter.write_line(f"FAILED: {len(skipped)} tests must run here, but were skipped")


def _must_not_skip(config: pytest.Config) -> list[pytest.TestReport]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not config.getoption("--fail-on-skip"):
        return []
    skipped = reporter.stats.get("skipped", [])
    return [
        report for report in skipped if not any(each in report.longreprtext for each in ALLOWED)
    ]


@pytest.fixture
def generator() -> torch.Generator:
    """A fresh generator with a fixed seed, so that no test depends on the draws of another."""
    return torch.Generator().manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    """A NumPy random generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def panda() -> Gripper:
    """The Franka Hand."""
    return load_gripper("panda")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development data beside the checkout, which not every machine has."""
    if not SHARED_DATA.is_dir():
        pytest.skip(NO_DATA)
    return SHARED_DATA
