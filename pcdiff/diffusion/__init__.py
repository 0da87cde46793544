"""The diffusion core for all manifolds: schedules, process, losses, samplers, guidance, bound."""
