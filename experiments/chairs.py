"""Evaluate the shipped chair generator and draw eight generated chairs.

    python -m experiments.chairs [CLOUDS.hdf5]

The study runs `pcdiff evaluate CLOUDS.hdf5 --category chair` with the shipped weights and default
options. It also runs `pcdiff sample --count 8` and copies the picture of the chairs to
`results/chairs.png`. Without a file, the study uses the development data beside the checkout.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from experiments import record

DEVELOPMENT_DATA = Path(__file__).parents[2] / "shared" / "data" / "modelnet10_chairs.hdf5"


def main() -> None:
    """Evaluate the generator, draw chairs, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clouds", type=Path, nargs="?", default=DEVELOPMENT_DATA)
    clouds = parser.parse_args().clouds
    if not clouds.is_file():
        print(f"skipped: {clouds} does not exist, expected a canonical HDF5 file with chairs")
        return
    with tempfile.TemporaryDirectory() as folder:
        record.answer("pcdiff", "sample", "--count", "8", "--output", folder)
        shutil.copy(Path(folder) / "sheet.png", record.RESULTS / "chairs.png")
    evaluation = record.answer("pcdiff", "evaluate", str(clouds), "--category", "chair")
    results = {"cpu_seconds": evaluation["cpu_seconds"], **evaluation["results"]}
    record.write("chairs", evaluation["seed"], results, results.pop("table"))


if __name__ == "__main__":
    main()
