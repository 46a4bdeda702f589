"""Our own tables and indexes: what `engagement migrate` makes, and what `engagement doctor` says about them."""
