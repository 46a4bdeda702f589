"""Connections to PostgreSQL: opening them, sharing them, limiting their time, and turning psycopg2's errors into
ours."""
