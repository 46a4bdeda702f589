"""An existing E-02 service as the voice (`VOICE_PROVIDER=http`): POST `{podId, text, cartridge}`, answer `{text}`.

The one rule: the service gets only what it needs: no account, no post, no token of the provider.
"""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields

from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.voices.endpoint import VoiceEndpoint, as_data
from adapters.voices.voice_url import checked_voice_url
from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import Voice, VoiceFailed

__all__ = ["HttpVoice"]


class HttpVoice(Voice):
    """Asks a service that follows E-02's `applyVoiceToComment(podId, originalText)`."""

    def __init__(self, url: str, *, api_key: str | None, session: HttpSession, breaker: HostBreaker) -> None:
        """
        Args:
            url: where to send the POST; used unchanged.
            api_key: sent as a bearer token; None sends none.
            session: the voice's own.
            breaker: the voice's own.

        Raises:
            ValueError: the address or the key cannot be used. The message repeats neither.
        """
        self._endpoint = VoiceEndpoint(
            checked_voice_url(url, takes_query=True), api_key=api_key, session=session, breaker=breaker
        )

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """The service's answer.

        Raises:
            VoiceFailed: the activity has no comment, or the service did not answer as it should.
        """
        if activity.comment_text is None:
            raise VoiceFailed("the activity has no comment")
        question = {"podId": pod.id, "text": activity.comment_text, "cartridge": as_data(cartridge)}
        return str(self._endpoint.ask(question, _Answer(), deadline)["text"])


class _Answer(Schema):
    class Meta:
        unknown = EXCLUDE

    text = fields.String(required=True)
