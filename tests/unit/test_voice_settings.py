"""The voice's variables, and every way to get them wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from runners.settings import Settings, SettingsProblem, read_settings


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    with patch.dict(os.environ, clear=True):
        yield
    os.chdir(before)


def test_each_variable_is_read_under_its_name() -> None:
    """And sets what it says."""
    os.environ.update(
        VOICE_PROVIDER="OpenAI",
        VOICE_BASE_URL=" https://models.example.com:8443/openai/v1/ ",
        VOICE_API_KEY=" key ",
        VOICE_MODEL="model-1",
    )
    settings = read_settings()
    assert settings.voice_provider == "openai"
    assert settings.voice_base_url == "https://models.example.com:8443/openai/v1/"
    assert (settings.voice_api_key, settings.voice_model) == ("key", "model-1")


@pytest.mark.parametrize(
    ("provider", "url"),
    [("openai", "https://api.openai.com/v1"), ("http", None), ("template", None), ("none", None)],
)
def test_only_openai_has_an_address_of_its_own(provider: str, url: str | None) -> None:
    """The others' must be set, or is not needed."""
    os.environ["VOICE_PROVIDER"] = provider
    assert read_settings().voice_base_url == url


def test_a_services_address_is_taken_exactly_as_it_is() -> None:
    """With its path and query; on this machine without encryption."""
    os.environ.update(VOICE_PROVIDER="http", VOICE_BASE_URL="http://127.0.0.1:8080/pods/voice/?code=7")
    assert read_settings().voice_base_url == "http://127.0.0.1:8080/pods/voice/?code=7"


@pytest.mark.parametrize("provider", ["openai", "http"])
@pytest.mark.parametrize(
    "url",
    [
        "http://voice.example.com/geheim",
        "https://me:geheim@voice.example.com",
        "voice.example.com/geheim",
        "https://voice.example.com/#geheim",
        "https://voice.example.com/a geheim",
    ],
)
def test_an_address_that_cannot_be_used_is_one_line_without_it(provider: str, url: str) -> None:
    """It names the variable."""
    os.environ.update(VOICE_PROVIDER=provider, VOICE_BASE_URL=url)
    with pytest.raises(SettingsProblem, match=r"^VOICE_BASE_URL: must [^\n]*$") as problem:
        read_settings()
    assert "geheim" not in str(problem.value)


def test_what_may_be_a_secret_is_not_in_the_repr() -> None:
    """Nobody prints settings on purpose."""
    assert "geheim" not in repr(Settings(voice_api_key="geheim", voice_base_url="https://v.example.com/?code=geheim"))
