"""Reads for people and monitors. They lock nothing, and cost the same whatever there is."""
