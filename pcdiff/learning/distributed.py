"""Training by several processes that `torchrun` starts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from torch import cuda, distributed


@contextlib.contextmanager
def processes(device: str) -> Iterator[None]:
    """Join the process group that `torchrun` describes in environment variables.

    The function does nothing in a process that `torchrun` did not start.

    Args:
        device: Device to compute on. Processes communicate through Gloo on "cpu", and through NCCL
            on other devices. On "cuda" each process uses its own GPU.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    if device == "cuda":
        cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield
        # If a process leaves while another still communicates with it, the other process fails.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """Let the first process finish the `with` block before the other processes enter it."""
    if not is_first():
        distributed.barrier()
    yield
    if is_first() and distributed.is_initialized():
        distributed.barrier()


def is_first() -> bool:
    """Whether this is the first process; only the first process writes files and prints."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def starts_first() -> bool:
    """Whether this will be the first process, which is known before the processes are joined."""
    return os.environ.get("RANK", "0") == "0"
