"""PostgreSQL (and so Supabase) holds the truth about activities, attempts, dead letters, workers and alerts."""
