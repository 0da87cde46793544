"""The commands of `grasp`, one a file, and what several of them share."""
