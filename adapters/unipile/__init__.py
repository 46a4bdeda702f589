"""Unipile, the provider through which LinkedIn accounts engage. `unipile/sandbox` simulates this provider."""
