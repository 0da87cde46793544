"""`python -m grasp` runs the `grasp` command."""

from grasp.cli import main

main()
