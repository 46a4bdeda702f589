"""The room that every HTTP-speaking adapter shares: one session, one hard deadline, one breaker per host."""
