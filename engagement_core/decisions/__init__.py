"""Pure functions from a snapshot to a decision: the same facts lead to the same answer, whoever asks."""
