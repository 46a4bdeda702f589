"""What every adapter that speaks HTTP shares: one session, one hard deadline, one breaker per host."""
