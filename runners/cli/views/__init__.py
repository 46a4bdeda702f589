"""Formats results: tables for people, JSON for programs."""
