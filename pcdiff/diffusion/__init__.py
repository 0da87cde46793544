"""Diffusion on all manifolds: schedules, process, losses, samplers, guidance and bound."""
