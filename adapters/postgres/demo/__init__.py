"""Rows for the demo, the bench and first experiments."""
