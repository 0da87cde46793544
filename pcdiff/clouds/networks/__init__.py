"""Networks of the cloud head: plain `torch` modules that know nothing of diffusion."""
