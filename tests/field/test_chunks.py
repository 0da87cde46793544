"""Chunks give the same results as one batch, and leave torch's number of threads unchanged."""

from __future__ import annotations

import multiprocessing
import sys

import pytest
import torch

from grasp.field.chunks import AT_ONCE, in_chunks


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, AT_ONCE, 3 * AT_ONCE + 5])
def test_chunks_are_joined_in_order(threads, rows):
    a, b = torch.arange(2.0 * rows).view(rows, 2), torch.arange(rows)
    total, places = in_chunks(lambda x, y: (x.sum(1), y), a, b)
    assert torch.equal(total, a.sum(1))
    assert torch.equal(places, b)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("rows", "chunks"), [(100, [1, 1]), (300, [1, 3]), (600, [2, 3])])
def test_threads_have_equal_work(threads, rows, chunks):
    sizes = []
    in_chunks(lambda x: (sizes.append(len(x)) or x,), torch.zeros(rows))
    assert len(sizes) == chunks[threads == 3] and sum(sizes) == rows
    assert max(sizes) <= AT_ONCE and max(sizes) - min(sizes) < len(sizes)


def test_chunks_have_the_gradient_mode_of_the_caller(threads):
    x = torch.ones(2 * AT_ONCE, requires_grad=True)
    (squares,) = in_chunks(lambda part: (part.square(),), x)
    squares.sum().backward()
    assert torch.equal(x.grad, 2 * torch.ones(2 * AT_ONCE))
    with torch.no_grad():
        (squares,) = in_chunks(lambda part: (part.square(),), x)
    assert not squares.requires_grad


def test_an_error_reaches_the_caller_and_threads_are_restored(threads):
    def fails(part):
        raise ValueError(f"{len(part)} rows")

    with pytest.raises(ValueError, match=r"\d+ rows"):
        in_chunks(fails, torch.zeros(2 * AT_ONCE))
    assert torch.get_num_threads() == threads


@pytest.mark.skipif(sys.platform == "win32", reason="there are no forks")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_starts_its_own_threads(threads):
    def doubled(queue):
        (twice,) = in_chunks(lambda part: (2 * part,), torch.ones(2 * AT_ONCE))
        queue.put(twice.tolist())

    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    doubled(queue)  # the parent's threads have started
    assert queue.get() == [2.0] * 2 * AT_ONCE
    child = fork.Process(target=doubled, args=(queue,), daemon=True)
    child.start()
    child.join(60)
    assert child.exitcode == 0 and queue.get() == [2.0] * 2 * AT_ONCE
