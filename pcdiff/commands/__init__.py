"""The commands of `pcdiff`, one per file, and the options that several commands share."""
