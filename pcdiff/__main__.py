"""The `pcdiff` command as `python -m pcdiff`, the form that `torchrun -m` needs."""

from pcdiff.cli import main

main()
