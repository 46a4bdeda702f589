"""The listeners for events: the log, the metrics, and what they share."""
