"""The diffusion core, once for all manifolds: schedules, process, losses, samplers, bound."""
