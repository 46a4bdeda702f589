"""PostgreSQL and Valkey from wheels, in a data folder: real servers without set-up.
Start here, with `EmbeddedServers`."""

from __future__ import annotations

from adapters.embedded.failure import EmbeddedServersFailed
from adapters.embedded.servers import EmbeddedServers, EmbeddedUrls

__all__ = ["EmbeddedServers", "EmbeddedServersFailed", "EmbeddedUrls"]
