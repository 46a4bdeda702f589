"""The work of the Python peers: read the row, POST, write the row. The same work, the same tables, the same provider.

The one rule: a difference between two peers must be the peers' own. So all of them make the same HTTP call, the
cheapest one that `requests` has: a prepared request, straight to its adapter, over a connection that is kept. Each
thread has a connection to the database and one to the provider. It promises nothing for a process that dies between two
steps.
"""

from __future__ import annotations

import json
import os
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import requests
from requests.adapters import HTTPAdapter

__all__ = ["engage", "engage_cheaply", "read_orders"]

_READ = """
SELECT a.post_id, l.unipile_account_id FROM pod_activities a
JOIN pods p ON p.id = a.pod_id JOIN linkedin_accounts l ON l.id = p.linkedin_account_id
WHERE a.id = %s AND a.status = 'scheduled'
"""
_WRITE = "UPDATE pod_activities SET status = 'executed', executed_at = now() WHERE id = %s"
_PATH = "/api/v1/posts/reaction"
_HEADERS = {"X-API-KEY": "bench-key"}
_TIMEOUT = 30
_CREATED = 201

_mine = threading.local()


def engage(activity_id: str) -> None:
    """One like, with `requests`."""
    like = _read(activity_id)
    if like is not None:
        if not hasattr(_mine, "adapter"):
            _mine.adapter = HTTPAdapter()
            _mine.request = requests.Request("POST", os.environ["PROVIDER_URL"] + _PATH, headers=_HEADERS).prepare()
        request = _mine.request.copy()
        request.prepare_body(None, None, json=like)
        answer = _mine.adapter.send(request, timeout=_TIMEOUT)
        _insist_on_success(answer.status_code, answer.content)
        _write(activity_id)


def engage_cheaply(activity_id: str) -> None:
    """One like, with the standard library's client."""
    like = _read(activity_id)
    if like is not None:
        if not hasattr(_mine, "http"):
            place = urlsplit(os.environ["PROVIDER_URL"])
            _mine.http = HTTPConnection(str(place.hostname), place.port, timeout=_TIMEOUT)
        _mine.http.request("POST", _PATH, json.dumps(like), {**_HEADERS, "Content-Type": "application/json"})
        answer = _mine.http.getresponse()
        _insist_on_success(answer.status, answer.read())
        _write(activity_id)


def read_orders(path: str) -> list[tuple[str, float]]:
    """The orders to enqueue: activity ids and when each is due (epoch seconds)."""
    return [(activity_id, float(at)) for activity_id, at in json.loads(Path(path).read_text(encoding="utf-8"))]


def _insist_on_success(status: int, body: bytes) -> None:
    json.loads(body)
    if status != _CREATED:
        raise RuntimeError(f"the provider said {status}")


def _read(activity_id: str) -> dict[str, Any] | None:
    with _connection().cursor() as cursor:
        cursor.execute(_READ, (activity_id,))
        row = cursor.fetchone()
    return None if row is None else {"account_id": row[1], "post_id": row[0], "reaction_type": "like"}


def _write(activity_id: str) -> None:
    with _connection().cursor() as cursor:
        cursor.execute(_WRITE, (activity_id,))


def _connection() -> Any:
    if not hasattr(_mine, "connection"):
        _mine.connection = psycopg2.connect(os.environ["DATABASE_URL"])
        _mine.connection.autocommit = True
    return _mine.connection
