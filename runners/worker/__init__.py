"""A worker: threads that execute what is due, and the periodic tasks beside them. Start at `worker.Worker`."""
