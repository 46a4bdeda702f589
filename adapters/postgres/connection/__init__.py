"""Connections to PostgreSQL: opening, sharing and limiting them, and turning psycopg2's errors into ours."""
