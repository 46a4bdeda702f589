"""Decides when an incident begins, when it is over and what its alerts say. Pure functions only."""
