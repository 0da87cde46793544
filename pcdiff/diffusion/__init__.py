"""Diffusion on all manifolds: schedules, losses, samplers, guidance and variational bound."""
