"""Measure the time of grasps and gradients of the grasp field, with a lower bound from FLOPs.

    python -m experiments.bench_field

The benchmark uses the shipped weights on a synthetic mug. The time of a grasp is the time of
`ConditionedField.sample`, which draws and ranks samples, checks samples for collisions with the
object, and measures the opening of the gripper. All results are medians over rounds, and
CPU-seconds count all threads of the process. The lower bound is the number of floating-point
operations (FLOPs) in matrix products, counted by torch, divided by the measured rate of a square
matrix product. The weights of version 0.1 do the same work in the same rounds, with the sampler and
the number of samples of that version, so that the ratio of the times does not depend on the
machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from datasets.household import make
from experiments import record
from experiments.bench_training import elapsed, gemm_rate
from grasp.field.conditioned import ConditionedField
from grasp.field.sampling import Sampling
from grasp.field.selection import Selection
from grasp.field.trained import GraspField
from grasp.objects.object import Object
from pcdiff.randomness import seeded

ROUNDS, SEED, GRASPS, POSES = 7, 0, 100, 1000
EARLIER = "panda-0.1"
SETTINGS: dict[str, Any] = {
    "sampling": Sampling(steps=3, begin=0.15, temperature=0.8),
    "selection": Selection(oversampling=6.0, likely=0.6),
}
"""Settings of version 0.1 that decide about the time."""

SCALES = (100, 1000, 10_000, 100_000, 1_000_000)


def main() -> None:
    """Measure the times, print the table and write the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    made = make("mug", SEED)
    mug = Object.from_mesh(made.vertices, made.faces)
    pretrained = GraspField.from_pretrained()
    field = pretrained.condition(mug)
    earlier = GraspField.from_pretrained(EARLIER).condition(mug)
    poses = field.draw(POSES, seeded(SEED)).float()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the counter counts only operations on its own thread
    with FlopCounterMode(display=False) as counter:
        field.cost_and_gradient(poses)
    torch.set_num_threads(threads)
    gflop = counter.get_total_flops() / 1e9
    now = partial(field.sample, GRASPS)
    before = partial(earlier.sample, GRASPS, **SETTINGS)
    for sample in (now, before):  # the first call is slower
        sample(seeded(SEED))
    taken: dict[str, list[float]] = {
        name: []
        for name in (
            "grasps_cpu",
            "grasps_cpu_one_thread",
            "grasps_cpu_one_thread_earlier",
            "condition_cpu",
            "gradients_wall",
            "gradients_cpu",
            "gradients_cpu_one_thread",
            "gradients_cpu_one_thread_earlier",
            "peak",
        )
    }
    for _ in range(ROUNDS):
        taken["grasps_cpu"].append(cpu(lambda: now(seeded(SEED))))
        torch.set_num_threads(1)
        for name, each, sample in (("", field, now), ("_earlier", earlier, before)):
            taken[f"grasps_cpu_one_thread{name}"].append(cpu(partial(sample, seeded(SEED))))
            taken[f"gradients_cpu_one_thread{name}"].append(gradient_time(each, poses))
        torch.set_num_threads(threads)
        taken["condition_cpu"].append(cpu(lambda: pretrained.condition(mug)))
        taken["gradients_wall"].append(elapsed(lambda: field.cost_and_gradient(poses)))
        taken["gradients_cpu"].append(cpu(lambda: field.cost_and_gradient(poses)))
        taken["peak"].append(gemm_rate(torch.float32))
    median = {name: statistics.median(each) for name, each in taken.items()}
    ratios = {
        name: median[f"{name}_cpu_one_thread"] / median[f"{name}_cpu_one_thread_earlier"]
        for name in ("grasps", "gradients")
    }
    scaling = {count: per_thousand(field, poses, count) for count in SCALES}
    floor = gflop / median["peak"]
    results = {
        **median,
        "ratios": ratios,
        "gflop": gflop,
        "floor_wall": floor,
        "cpu_per_1000_poses": scaling,
    }
    lines = [
        f"{threads} threads, GEMM peak {median['peak']:.0f} GFLOP/s.",
        "",
        "| what | figure | to compare with |",
        "|---|---|---|",
        f"| {GRASPS} grasps, CPU-s, by one thread | {median['grasps_cpu_one_thread']:.2f} | "
        "SE(3)-DiffusionFields' released code 76, GraspGen's networks 0.38 |",
        f"| the same over {EARLIER} | {ratios['grasps']:.2f} | |",
        f"| {POSES} poses with gradients by one thread over {EARLIER} | "
        f"{ratios['gradients']:.2f} | |",
        f"| {GRASPS} grasps, CPU-s, by {threads} threads | {median['grasps_cpu']:.2f} | |",
        f"| conditioning on a mesh, CPU-s | {median['condition_cpu']:.2f} | |",
        f"| {POSES} poses with gradients, ms of wall time | {1e3 * median['gradients_wall']:.0f} | "
        f"floor {1e3 * floor:.0f}: {gflop:.1f} GFLOP in matrix products |",
        f"| the same, CPU-ms | {1e3 * median['gradients_cpu']:.0f} | |",
        *(
            f"| of {count} poses with gradients, CPU-ms per 1000 | {1e3 * each:.0f} | |"
            for count, each in scaling.items()
        ),
    ]
    record.write("bench_field", SEED, results, "\n".join(lines))


def cpu(run: Callable[[], object]) -> float:
    """Call a function and return the CPU-seconds of the process during the call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def gradient_time(field: ConditionedField, poses: torch.Tensor) -> float:
    """Return the CPU-seconds in which a field computes the energies and gradients of poses."""
    return cpu(lambda: field.cost_and_gradient(poses))


def per_thousand(field: ConditionedField, poses: torch.Tensor, count: int) -> float:
    """Return the CPU-seconds per 1000 poses for cost and gradient of one batch of `count` poses."""
    many = poses.repeat(-(-count // len(poses)), 1, 1)[:count]
    rounds = ROUNDS if count < 10**5 else 1
    return statistics.median(
        cpu(lambda: field.cost_and_gradient(many)) * 1000 / count for _ in range(rounds)
    )


if __name__ == "__main__":
    main()
