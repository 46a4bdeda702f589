"""Reads for people and monitors. They take no lock, and cost the same however many rows there are."""
