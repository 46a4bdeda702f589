"""The bench: what the product does, measured from outside on servers of its own. Start at `bench.run_bench`."""
