"""The demo: sample pods that engage over the next seconds, against the sandbox."""
