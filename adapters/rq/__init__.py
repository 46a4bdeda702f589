"""The doorbell on RQ and rq-scheduler: JSON jobs in Redis, of which only the activity id is believed."""
