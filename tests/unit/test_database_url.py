"""A database URL is understood before anything connects, and what is wrong is said without repeating it."""

from __future__ import annotations

import pytest

from adapters.postgres.connection.url import checked_database_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:ge%2Fhe%40im@db.example.com:6543/postgres",
        "postgresql://user@/postgres?host=/run/postgresql",
        "postgresql://user@one.example.com:5432,two.example.com:5433/postgres",
        "host=@abstract user=user password='ge@he/im'",
        "dbname=postgres",
    ],
)
def test_what_libpq_understands_is_taken_as_it_is(url: str) -> None:
    """Both of its forms, sockets and several hosts."""
    assert checked_database_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:geheim%zz@db.example.com/postgres",
        "postgresql://user:geheim/more@db.example.com:5432/postgres",
        "postgresql://user:more@geheim@db.example.com:5432/postgres",
        "host=db.example.com password=more geheim user=user",
        "mysql://user:geheim@db.example.com/d",
    ],
    ids=["bad percent", "slash", "at sign", "blank", "another database"],
)
def test_a_url_that_would_be_misread_is_refused_without_the_password(url: str) -> None:
    """Else the client library would call a piece of the password a port or a host, and quote it."""
    with pytest.raises(ValueError, match="percent-encoded") as problem:
        checked_database_url(url)
    assert "geheim" not in str(problem.value)
    assert problem.value.__suppress_context__ or problem.value.__context__ is None
