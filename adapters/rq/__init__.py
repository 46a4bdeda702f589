"""The doorbell on RQ and rq-scheduler: JSON jobs in Redis. The worker believes only their activity id."""
