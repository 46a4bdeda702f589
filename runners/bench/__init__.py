"""The bench measures the product from outside, on its own servers. Start at `bench.run_bench`."""
