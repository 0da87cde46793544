"""Several processes on one batch, started by `torchrun`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from torch import cuda, distributed


@contextlib.contextmanager
def processes(device: str) -> Iterator[None]:
    """Join the process group that `torchrun` describes in the environment, if it started us.

    Args:
        device: "cpu" talks through gloo, anything else through NCCL; with "cuda" each process gets
            a GPU of its own.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield
        return
    if device == "cuda":
        cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        yield
        # A process that leaves while another still talks to it takes that one down.
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """Let the first process do something before the others do it, e.g. fill a folder."""
    if not is_first():
        distributed.barrier()
    yield
    if is_first() and distributed.is_initialized():
        distributed.barrier()


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return not distributed.is_initialized() or distributed.get_rank() == 0
