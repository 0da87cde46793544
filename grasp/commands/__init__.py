"""The commands of `grasp`, one command per file, and helpers that several commands share."""
