"""`python -m grasp`, the `grasp` command."""

from grasp.cli import main

main()
