"""Connections to PostgreSQL: how they are opened, shared, limited in time, and how their errors become ours."""
