"""Networks of the cloud head: plain `torch` modules that do not depend on the diffusion code."""
