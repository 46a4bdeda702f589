"""The doorbell on BullMQ: a Node service's jobs in Redis. The worker believes only their activity id."""
