"""What a user's database looks like: its columns, constraints, triggers, permissions and encoding."""
