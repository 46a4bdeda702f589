"""Activities as people write them down: JSON Lines and CSV."""
