"""Readers of damaged files answer with one sentence: no other exception, no hang, no large memory.

`make test-extras` tries 500 inputs per reader, `make fuzz` 20,000 with other random draws.
"""

from __future__ import annotations

import resource
import signal
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import models
from tests.fuzz.targets import TARGETS, attempt

pytestmark = pytest.mark.extras

MODELS = ["weights", "network configuration", "field configuration", "checkpoint metadata"]
SECONDS = 10
"""Longest processor time of one input."""

MEMORY = 3 * 2**29
"""Bytes that the process may gain."""


class TookTooLong(BaseException):
    """Raised in the middle of a reader that does not end; no reader catches it."""


def too_slow(*_: object) -> None:
    raise TookTooLong


@pytest.mark.parametrize("name", [*TARGETS, *MODELS])
def test_damaged_files_are_read_or_refused(name, tmp_path, pytestconfig):
    target = TARGETS[name] if name in TARGETS else models.targets(tmp_path)[name]
    inputs = pytestconfig.getoption("--fuzz-inputs")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    folder = tmp_path / "inputs"
    folder.mkdir()
    for beside, content in target.beside.items():
        (folder / beside).write_bytes(content)
    path = folder / f"a.{target.ending}"
    signal.signal(signal.SIGPROF, too_slow)

    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        derandomize=inputs <= 500,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def read(data: st.DataObject) -> None:
        path.write_bytes(data.draw(target.inputs))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(target, path)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    read()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY / 1024
