"""Sample pods with their accounts and voices, for the demo and for first experiments."""

from __future__ import annotations

from adapters.postgres.connection.pool import PostgresPool

__all__ = ["SAMPLE_PODS", "add_samples"]

SAMPLE_PODS = ("pod-growth", "pod-design", "pod-engineering")

_ADD = """
INSERT INTO voice_cartridges (id, personality_style, tone, templates) VALUES
    ('voice-growth', 'mentor', 'enthusiastic',
     '{"rewrites": {"Great post!": ["This is a fantastic post and I love the insights!"]}}'),
    ('voice-design', 'storyteller', 'friendly', NULL),
    ('voice-engineering', 'analyst', 'professional', NULL)
ON CONFLICT (id) DO NOTHING;
INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id, access_token, status) VALUES
    ('account-ana', 'profile-ana', 'unipile-ana', 'sample-token-ana', 'ok'),
    ('account-ben', 'profile-ben', 'unipile-ben', 'sample-token-ben', 'ok'),
    ('account-cleo', 'profile-cleo', 'unipile-cleo', 'sample-token-cleo', 'ok')
ON CONFLICT (id) DO NOTHING;
INSERT INTO pods (id, voice_cartridge_id, linkedin_account_id) VALUES
    ('pod-growth', 'voice-growth', 'account-ana'),
    ('pod-design', 'voice-design', 'account-ben'),
    ('pod-engineering', 'voice-engineering', 'account-cleo')
ON CONFLICT (id) DO NOTHING
"""


def add_samples(database_url: str) -> None:
    """Add the sample rows that are not there yet.

    Raises:
        StoreUnavailable: the database cannot be reached, or lacks the tables.
    """
    pool = PostgresPool(database_url, size=1)
    try:
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_ADD)
    finally:
        pool.close()
