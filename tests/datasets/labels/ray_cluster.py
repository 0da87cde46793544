"""A program that labels a folder of two objects on a Ray cluster of two nodes with one core each.

`python -m tests.datasets.labels.ray_cluster FOLDER MEETING`; `work.meet_and_label` explains
MEETING. It runs in a process of its own because Ray leaves threads, handlers and warnings behind.
"""

from __future__ import annotations

import os
import sys

import datasets.labels.folder
from datasets.labels import Settings, label_folder
from grasp.grippers.gripper import load_gripper
from tests.datasets.labels import work


def main() -> None:
    os.environ |= {
        work.MEETING: sys.argv[2],
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's workers have a low priority by default, which would take minutes on a busy machine.
        "RAY_worker_niceness": "0",
    }
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    datasets.labels.folder.attempt = work.meet_and_label
    settings = Settings(load_gripper("panda"), 12, near_misses=0.25, seed=7)
    label_folder(sys.argv[1], settings, cluster=cluster.address)
    cluster.shutdown()


if __name__ == "__main__":
    main()
