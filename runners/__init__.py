"""Processes: settings, wiring, the worker and the command line."""
