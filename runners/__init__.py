"""What runs as a process: settings, wiring, the worker and the command line."""
