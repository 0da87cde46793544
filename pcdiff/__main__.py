"""The entry point of `python -m pcdiff` and `torchrun -m pcdiff`."""

from pcdiff.cli import main

main()
