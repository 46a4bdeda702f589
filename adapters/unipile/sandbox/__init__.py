"""The simulated provider: a real HTTP server that speaks v0 and v1, counts every effect and fails as it is told to."""

from adapters.unipile.sandbox.faults import read_faults
from adapters.unipile.sandbox.server import Sandbox, serve

__all__ = ["Sandbox", "read_faults", "serve"]
