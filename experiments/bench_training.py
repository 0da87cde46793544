"""Measure the time of training steps of the cloud network, compared with a plain float32 step.

    python -m experiments.bench_training

All steps train the same network with Adam on 32 clouds of 2048 points. The plain step is eager, not
compiled. The noise network ε_θ has the widths 128-256-512-256-128, and the latent code has 256
numbers. The kinds of steps take turns, so that changes in the machine's speed affect all kinds. All
times are medians over the rounds. The number of floating-point operations (FLOPs) covers the matrix
products in one plain step, counted by torch. The peak is the rate of a square matrix product,
measured between the steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments import record
from pcdiff.clouds.configuration import GeneratorConfig
from pcdiff.clouds.generator import PointCloudGenerator
from pcdiff.clouds.training import POINTS_IN_CACHE
from pcdiff.learning.trainer import accumulate_gradient
from pcdiff.randomness import seeded, uniform

CLOUDS, POINTS, ROUNDS, SEED = 32, 2048, 7, 0


def main() -> None:
    """Measure the times, print the table and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    clouds = 2 * uniform((CLOUDS, POINTS, 3), seeded(SEED)) - 1
    steps = {
        "plain float32, eager": step(clouds, 0, bfloat16=False, compiled=False),
        "bfloat16": step(clouds, 0, bfloat16=True, compiled=False),
        "bfloat16, micro-batches of 2 (`pcdiff train`)": step(
            clouds, POINTS_IN_CACHE // POINTS, bfloat16=True, compiled=False
        ),
        "the same with `--compile`": step(
            clouds, POINTS_IN_CACHE // POINTS, bfloat16=True, compiled=True
        ),
    }
    names = list(steps)
    with FlopCounterMode(display=False) as counter:
        steps[names[0]]()
    flops = counter.get_total_flops()
    for run in steps.values():  # warm up memory, threads and the compiler
        run()
        run()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    peaks: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(ROUNDS):
        for name, run in steps.items():
            seconds[name].append(elapsed(run))
        for kind, rates in peaks.items():
            rates.append(gemm_rate(getattr(torch, kind)))
    peak = {kind: statistics.median(rates) for kind, rates in peaks.items()}
    plain = seconds[names[0]]
    results = {
        "gflop_of_a_step": flops / 1e9,
        "gemm_peak_gflops": peak,
        "steps": {
            name: {
                "seconds": statistics.median(taken),
                "gflops": flops / 1e9 / statistics.median(taken),
                "speedup": statistics.median(a / b for a, b in zip(plain, taken, strict=True)),
            }
            for name, taken in seconds.items()
        },
    }
    lines = [
        f"One step: {CLOUDS} clouds x {POINTS} points, {flops / 1e9:.0f} GFLOP in matrix products. "
        f"GEMM peak: {peak['float32']:.0f} GFLOP/s float32, {peak['bfloat16']:.0f} bfloat16.",
        "",
        "| step | seconds | GFLOP/s | times as fast |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['seconds']:.2f} | {row['gflops']:.0f} | {row['speedup']:.2f} |"
        for name, row in results["steps"].items()
    ]
    record.write("bench_training", SEED, results, "\n".join(lines))


def step(
    clouds: torch.Tensor, micro_batch: int, bfloat16: bool, compiled: bool
) -> Callable[[], None]:
    """Return a function that does one optimizer step of a new model, like the trainer."""
    model = PointCloudGenerator.initialized(GeneratorConfig(), SEED)
    if compiled:
        for network in model.children():
            network.compile()
    optimizer = torch.optim.Adam(model.parameters())
    generators = [seeded(SEED, place) for place in range(CLOUDS)]

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        accumulate_gradient(
            lambda items, random: model.loss(clouds[items], random),
            list(range(CLOUDS)),
            generators,
            micro_batch,
            "cpu",
            bfloat16,
        )
        optimizer.step()

    return run


def gemm_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """Measure the rate in GFLOP/s of one matrix product with `size` rows and columns."""
    a, b = (uniform((size, size), seeded(SEED, i)).to(dtype) for i in range(2))
    return 2 * size**3 / 1e9 / elapsed(lambda: a @ b)


def elapsed(run: Callable[[], object]) -> float:
    """Call a function and return the wall time of the call in seconds."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
