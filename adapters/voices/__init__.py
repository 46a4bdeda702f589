"""What gives a pod its voice: one file per kind of voice, each fills the port `Voice`."""
