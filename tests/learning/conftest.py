"""Processes that can be killed, limited or joined without harm to the test process."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def fork_server() -> Any:
    """Starts processes in milliseconds, as forks of one that has imported torch but not used it."""
    if not hasattr(os, "fork"):
        pytest.skip("needs a system that forks")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.learning.workers"])
    return context


@pytest.fixture
def start(fork_server: Any) -> Iterator[Callable[..., Any]]:
    """`start(function, *arguments)` runs a function of `tests.learning.workers`."""
    processes = []

    def start(function: Callable[..., None], *arguments: Any) -> Any:
        process = fork_server.Process(target=function, args=arguments)
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()
        process.close()
