"""`python -m pcdiff`, the `pcdiff` command, in the form that `torchrun -m` wants."""

from pcdiff.cli import main

main()
