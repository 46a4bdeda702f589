"""The voice, as the settings name it."""

from __future__ import annotations

from datetime import timedelta

from adapters.clock import SystemClock
from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.voices.http import HttpVoice
from adapters.voices.none import NoVoice
from adapters.voices.openai import OpenAiVoice
from adapters.voices.template import TemplateVoice
from engagement_core.ports.voice import Voice
from runners.settings import Settings, SettingsProblem

__all__ = ["build_voice", "needed_by_voice", "takes_time"]

_VOICES: dict[str, type[TemplateVoice] | type[NoVoice]] = {"template": TemplateVoice, "none": NoVoice}
# The voices that take time, and what must be set for them.
_SLOW_VOICES: dict[str, tuple[str, ...]] = {
    "openai": ("voice_base_url", "voice_api_key", "voice_model"),
    "http": ("voice_base_url",),
}


def takes_time(settings: Settings) -> bool:
    """Whether it has connections of its own, and is worth asking ahead of time."""
    return settings.voice_provider in _SLOW_VOICES


def needed_by_voice(settings: Settings) -> tuple[str, ...]:
    """The settings that the chosen voice cannot do without."""
    return _SLOW_VOICES.get(settings.voice_provider, ())


def build_voice(settings: Settings, clock: SystemClock, session: HttpSession) -> Voice:
    """The voice, on a session that somebody else closes.

    Raises:
        SettingsProblem: its key cannot be used.
    """
    if not takes_time(settings):
        return _VOICES[settings.voice_provider]()
    url, key = str(settings.voice_base_url), settings.voice_api_key
    breaker = HostBreaker(host="The voice", clock=clock, fail_max=3, reset_timeout=timedelta(seconds=30))
    try:
        if settings.voice_provider == "http":
            return HttpVoice(url, api_key=key, session=session, breaker=breaker)
        return OpenAiVoice(url, api_key=str(key), model=str(settings.voice_model), session=session, breaker=breaker)
    except ValueError as error:
        raise SettingsProblem(f"VOICE_API_KEY: {error}") from error
