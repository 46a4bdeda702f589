"""Listeners for what happens: the log, and anything that several listeners share."""
