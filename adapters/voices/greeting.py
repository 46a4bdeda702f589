"""Checks that the voice's endpoint answers, without asking it for a comment.

The one rule: it sends one GET, which costs no tokens and shows no comment.
"""

from __future__ import annotations

from adapters.http.errors import HttpError
from adapters.http.session import HttpRequest, HttpSession
from adapters.voices.voice_url import checked_voice_url
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import VoiceFailed

__all__ = ["greet_voice"]

_REFUSES_THE_KEY = frozenset({401, 403})


def greet_voice(url: str, *, api_key: str | None, session: HttpSession, deadline: Deadline) -> int:
    """The status with which the address answers a GET. 404 and 405 (the address does not know GET) are answers, too.

    Args:
        url: for a model, its list of models; for a service, where comments are sent.

    Raises:
        VoiceFailed: it does not answer, refuses the key, or answers with a server error; one sentence, no secret.
        ValueError: the address or the key cannot be used.
    """
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    request = HttpRequest(method="GET", url=checked_voice_url(url, takes_query=True), headers=headers)
    try:
        reply = session.send(request, deadline)
    except HttpError as error:
        raise VoiceFailed(f"it does not answer: {error}") from error
    if reply.status in _REFUSES_THE_KEY:
        raise VoiceFailed(f"it answered {reply.status}: it refuses the key")
    if reply.status >= 500:  # noqa: PLR2004 - HTTP's own boundary
        raise VoiceFailed(f"it answered {reply.status}")
    return reply.status
