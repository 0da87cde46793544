"""Point clouds: reading and writing their files, and the model that generates new clouds."""
