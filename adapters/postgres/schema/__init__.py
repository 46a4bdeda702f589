"""Our own tables and indexes: `engagement migrate` makes them, and `engagement doctor` checks them."""
