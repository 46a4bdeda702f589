"""Asks a voice over HTTP: one question, one JSON answer, one way to fail.

The one rule: whatever the other side does, the result is an object of the expected shape in time, or `VoiceFailed`. Its
sentence holds nothing that was sent or received.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError

from adapters.http.breaker import Admission, HostBreaker
from adapters.http.errors import BreakerOpen, HttpError, TooLateToSend
from adapters.http.session import HttpReply, HttpRequest, HttpSession, is_header_value
from engagement_core.model.activity import VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import VoiceFailed

__all__ = ["VoiceEndpoint", "as_data", "as_json"]

_LONGEST_QUESTION = 64 * 1024
"""In bytes. A larger cartridge would cost money with every comment."""

_REFUSES_THE_KEY = frozenset({401, 403})
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_LINE_ENDS = {ord(each): f"\\u{ord(each):04x}" for each in "\x85\u2028\u2029"}
"""The line ends that JSON allows unescaped inside a string."""


class VoiceEndpoint:
    """The address of a voice.
    The breaker belongs to the voice: if the voice is down or slow, we soon stop waiting for it."""

    def __init__(self, url: str, *, api_key: str | None, session: HttpSession, breaker: HostBreaker) -> None:
        """
        Args:
            url: a checked address (`checked_voice_url`).
            api_key: sent as a bearer token; None sends none.
            session: used only by this voice, so that a slow voice holds no connection of others.
            breaker: counts what costs time: no answer, an incomplete answer, 5xx and 429.

        Raises:
            ValueError: the key cannot stand in a header. The message does not repeat it.
        """
        if api_key is not None and not is_header_value(api_key):
            raise ValueError("must be printable ASCII")
        self._url = url
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._session = session
        self._breaker = breaker

    def ask(self, question: Mapping[str, object], answer: Schema, deadline: Deadline) -> dict[str, Any]:
        """POST `question` and load the reply with the schema `answer`.

        Raises:
            VoiceFailed: the voice was not asked, did not answer by `deadline`, or its answer cannot be used.
        """
        request = HttpRequest(method="POST", url=self._url, headers=self._headers, body=_encoded(question))
        try:
            with self._breaker.admit() as admission:
                reply = self._send(request, deadline, admission)
        except BreakerOpen as error:
            raise VoiceFailed("the voice has failed repeatedly and is not called for a while") from error
        if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own boundaries
            hint = " (is VOICE_API_KEY right?)" if reply.status in _REFUSES_THE_KEY else ""
            raise VoiceFailed(f"the voice answered {reply.status}{hint}")
        return _understood(reply.body, answer)

    def _send(self, request: HttpRequest, deadline: Deadline, admission: Admission) -> HttpReply:
        try:
            reply = self._session.send(request, deadline)
        except TooLateToSend as error:
            raise VoiceFailed("there was no time left to ask the voice") from error
        except HttpError as error:
            admission.failed()
            raise VoiceFailed(f"the voice did not answer: {error}") from error
        if reply.body is None or reply.status == _TOO_MANY_REQUESTS or reply.status >= _SERVER_ERRORS:
            admission.failed()
        else:
            admission.succeeded()
        return reply


def as_data(cartridge: VoiceCartridge) -> dict[str, object]:
    """The cartridge in the form that every voice service gets."""
    return {
        "id": cartridge.id,
        "personality_style": cartridge.personality_style,
        "tone": cartridge.tone,
        "templates": cartridge.templates,
    }


def as_json(data: Mapping[str, object]) -> str:
    """JSON in one line that a model can read: letters are not escaped.

    Raises:
        VoiceFailed: the cartridge has a value that JSON cannot hold.
    """
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)
    except (TypeError, ValueError, RecursionError) as error:
        raise VoiceFailed("the cartridge cannot be written as JSON") from error


def _encoded(question: Mapping[str, object]) -> bytes:
    encoded = as_json(question).encode("utf-8", "replace")
    if len(encoded) > _LONGEST_QUESTION:
        raise VoiceFailed(f"the cartridge is too large: a question to a voice has at most {_LONGEST_QUESTION} bytes")
    return encoded


def _understood(body: bytes | None, answer: Schema) -> dict[str, Any]:
    if body is None:
        raise VoiceFailed("the voice's answer was too large, or not complete in time")
    try:
        loaded: dict[str, Any] = answer.load(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise VoiceFailed("the voice's answer is not JSON") from error
    except ValidationError as error:
        raise VoiceFailed("the voice's answer does not have the expected shape") from error
    return loaded
