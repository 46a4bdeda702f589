"""The doorbell on BullMQ: a Node service's jobs in Redis, of which only the activity id is believed."""
