"""Whole worlds, in one thread, from one seed: what must hold when anything may die (see docs/simulation.md)."""
