"""Unipile, the provider through which LinkedIn accounts engage; `unipile/sandbox` is the provider simulated."""
