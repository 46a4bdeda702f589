"""PostgreSQL (and so Supabase): the truth about activities, attempts, dead letters, workers and alerts."""
