"""Whole worlds killed at chosen moments and at random ones, and what must be true of them afterwards."""
