"""The adapters: each fills a port of the core, one technology per package."""
