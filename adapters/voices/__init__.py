"""What gives a pod its voice: one file per way of speaking, each a `Voice`."""
