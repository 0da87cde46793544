"""Evaluate the shipped chair generator and draw some of its chairs.

    python -m experiments.chairs [CLOUDS.hdf5]

It runs `pcdiff evaluate CLOUDS.hdf5 --category chair` with the shipped weights and default options,
and `pcdiff sample --count 8`, whose sheet becomes `results/chairs.png`. Without an argument, the
clouds are taken from the development data beside the checkout.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from experiments import record

DEVELOPMENT_DATA = Path(__file__).parents[2] / "shared" / "data" / "modelnet10_chairs.hdf5"


def main() -> None:
    """Evaluate, draw and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clouds", type=Path, nargs="?", default=DEVELOPMENT_DATA)
    clouds = parser.parse_args().clouds
    if not clouds.is_file():
        print(f"skipped: there is no {clouds}; name a canonical HDF5 with chairs")
        return
    with tempfile.TemporaryDirectory() as folder:
        record.answer("pcdiff", "sample", "--count", "8", "--output", folder)
        shutil.copy(Path(folder) / "sheet.png", record.RESULTS / "chairs.png")
    evaluation = record.answer("pcdiff", "evaluate", str(clouds), "--category", "chair")
    results = {"cpu_seconds": evaluation["cpu_seconds"], **evaluation["results"]}
    record.write("chairs", evaluation["seed"], results, results.pop("table"))


if __name__ == "__main__":
    main()
