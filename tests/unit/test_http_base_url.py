"""A key or token never travels unencrypted, except within this machine."""

from __future__ import annotations

import pytest

from adapters.http.base_url import checked_base_url


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://api.unipile.com", "https://api.unipile.com"),
        (" https://api8.unipile.com:13843/ ", "https://api8.unipile.com:13843"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_good_addresses_are_reduced_to_scheme_host_and_port(url: str, checked: str) -> None:
    """What is allowed comes back in one form."""
    assert checked_base_url(url) == checked


@pytest.mark.parametrize(
    "url",
    [
        "http://api.unipile.com",
        "http://192.168.1.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "api.unipile.com",
        "https://",
        "https://api.unipile.com/v0",
        "https://api.unipile.com?x=1",
        "https://user:hunter2@api.unipile.com",
        "https://api.unipile.com:99999",
        "https://api.unipile.com:0",
        "https://api\x00.unipile.com",
        "https://[::1",
        "",
    ],
)
def test_other_addresses_are_refused_without_being_repeated(url: str) -> None:
    """Plain http beyond this machine, and whatever is more or less than an address."""
    with pytest.raises(ValueError, match="must") as refusal:
        checked_base_url(url)
    assert "hunter2" not in str(refusal.value)
