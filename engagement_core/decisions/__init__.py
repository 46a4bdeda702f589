"""Pure functions from a snapshot to a decision: the same facts always give the same decision."""
