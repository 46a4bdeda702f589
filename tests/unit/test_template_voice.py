"""What the built-in voice makes of cartridges; the examples are those of docs/reference/voices.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from adapters.voices.template import TemplateVoice
from adapters.voices.tones import STYLES, TONES
from engagement_core.decisions.comment_rules import check_spoken
from engagement_core.model.activity import Activity, EngagementType, Pod, VoiceCartridge
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import VoiceFailed

PAGE = (Path(__file__).parents[2] / "docs/reference/voices.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
]


class StoppedClock:
    """A clock by which no time passes."""

    def elapsed(self) -> float:
        return 0.0


def say(
    original: str | None,
    *,
    activity_id: str = "activity-1",
    tone: str | None = None,
    personality_style: str | None = None,
    templates: Mapping[str, object] | None = None,
) -> str:
    activity = Activity(
        id=activity_id,
        pod_id="pod-1",
        engagement_type=EngagementType.COMMENT,
        post_id="post-1",
        profile_id=None,
        comment_text=original,
        scheduled_for=datetime(2024, 3, 15, 15, tzinfo=timezone.utc),
        status="scheduled",
    )
    pod = Pod(id="pod-1", voice_cartridge_id="cartridge-1", linkedin_account_id=None)
    cartridge = VoiceCartridge(id="cartridge-1", personality_style=personality_style, tone=tone, templates=templates)
    return TemplateVoice().speak(activity, pod, cartridge, Deadline.after(StoppedClock(), timedelta(seconds=30)))


def all_that_is_said(original: str, **cartridge: Any) -> set[str]:
    return {say(original, activity_id=f"activity-{n}", **cartridge) for n in range(60)}


@pytest.mark.parametrize("example", [each for each in EXAMPLES if isinstance(each.get("spoken"), list)])
def test_the_documented_cartridges_say_what_the_page_says(example: dict[str, Any]) -> None:
    """Over many activities, each listed text is said and no other."""
    assert all_that_is_said(example["original"], **example["cartridge"]) == set(example["spoken"])


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "failed" in each])
def test_the_documented_mistakes_are_refused_by_name(example: dict[str, Any]) -> None:
    """A malformed cartridge is a failed voice, and the message says where."""
    with pytest.raises(VoiceFailed) as failure:
        say("Great post!", **example["cartridge"])
    assert str(failure.value) == example["failed"]


@pytest.mark.parametrize("example", [each for each in EXAMPLES if "problems" in each])
def test_the_documented_results_are_judged_as_the_page_says(example: dict[str, Any]) -> None:
    """The page's examples of the comment rules are true."""
    assert list(check_spoken(example["original"], example["spoken"])) == example["problems"]


def test_the_page_has_examples_of_every_kind_and_names_every_tone_and_style() -> None:
    """A page that is read wrongly, or left behind, must not pass."""
    assert all(any(kind in each for each in EXAMPLES) for kind in ("spoken", "failed", "problems"))
    assert all(f"`{name}`" in PAGE for name in (*TONES, *STYLES))


@pytest.mark.parametrize("tone", sorted(TONES))
@pytest.mark.parametrize("style", [*sorted(STYLES), None])
def test_every_built_in_phrase_keeps_the_comment_rules(tone: str, style: str | None) -> None:
    """No cartridge without phrases of its own falls back to the original; each changes it and keeps its words."""
    said = all_that_is_said("Great post!", tone=tone, personality_style=style)
    assert all(check_spoken("Great post!", each) == () for each in said)
    assert all("Great post!" in each and each != "Great post!" for each in said)
    assert len(said) >= 3


def test_own_phrases_replace_the_tones() -> None:
    """What a cartridge says itself is never mixed with built-in sentences."""
    assert say("Great post!", tone="casual", templates={"openers": ["Hm."], "closers": []}) == "Hm. Great post!"
    assert say("Great post!", tone="casual", templates={"openers": [], "closers": ["Hm."]}) == "Great post! Hm."


def test_parts_are_chosen_independently() -> None:
    """Each opener is heard with each closer, so that a pod's comments do not come in three fixed pairs."""
    assert len(all_that_is_said("Great post!", tone="casual", personality_style="expressive")) == 9


def test_white_space_around_the_original_is_dropped() -> None:
    """It would stand in the middle of the comment."""
    assert say(" Great post!\n", templates={"openers": ["Hm."], "closers": ["Yes."]}) == "Hm. Great post! Yes."


def test_the_tone_fills_only_what_the_cartridge_leaves_out() -> None:
    """Rewrites for some comments leave the voice for all others as it is."""
    templates = {"rewrites": {"Nice": ["Very nice indeed"]}, "openers": None}
    said = say("Great post!", tone="casual", personality_style="concise", templates=templates)
    assert said in {f"{opener} Great post!" for opener in TONES["casual"].openers}


def test_a_rewrite_stands_alone() -> None:
    """Nothing is put around a text that somebody wrote as a whole."""
    templates = {"rewrites": {"Nice": ["Very nice indeed"]}, "openers": ["Hm."], "comments": ["{opener} {text}"]}
    assert say("nice", templates=templates) == "Very nice indeed"


def test_phrases_that_nothing_fills_leave_no_gap() -> None:
    """Neither a double space nor one at an end tells that a template was there."""
    assert (
        say("Great post!", templates={"openers": [], "comments": ["- {opener} {text} {closer} -"]}) == "- Great post! -"
    )


@pytest.mark.parametrize(
    "original", ["{opener}", "{text} {closer}", "{0.__class__}", "%s \\1 \\g<0> $text", "two  spaces\n\nand lines"]
)
def test_the_original_is_kept_literally(original: str) -> None:
    """No placeholder, format or back-reference syntax in it means anything."""
    assert say(original, templates={"openers": ["Hm."], "closers": ["Yes."]}) == f"Hm. {original} Yes."


def test_phrases_are_substituted_once() -> None:
    """A phrase with braces is refused rather than read a second time."""
    with pytest.raises(VoiceFailed, match=r"templates\.openers\[0\]: Has braces"):
        say("Great post!", templates={"openers": ["{closer}"], "closers": ["x"]})


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        ({"openers": "Hi!"}, "templates.openers: Not a valid list."),
        ({"openers": [" "]}, "templates.openers[0]: Is blank."),
        ({"comments": ["{text} {text}"]}, "templates.comments[0]: Must have {text} exactly once."),
        ({"comments": ["{text} {opener.__class__}"]}, "templates.comments[0]: Has braces"),
        ({"rewrites": ["Nice"]}, "templates.rewrites: Not a valid mapping type."),
        (["openers"], "templates: Invalid input type."),
    ],
)
def test_malformed_templates_are_refused_by_name(templates: Any, message: str) -> None:
    """Whatever the table holds, the voice fails with the place and the reason, and in no other way."""
    with pytest.raises(VoiceFailed, match=f"^{re.escape(message)}"):
        say("Great post!", templates=templates)


def test_a_malformed_rewrite_is_named_without_its_comment() -> None:
    """The reason is logged, and a comment's text must not be."""
    with pytest.raises(VoiceFailed) as failure:
        say("Great post!", templates={"rewrites": {"a secret": ["fine", 7]}})
    assert str(failure.value) == "templates.rewrites[1]: Not a valid string."


def test_the_choice_is_the_same_in_every_process() -> None:
    """Python's own hash of a text differs from process to process; the choice must not."""
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from adapters.voices.template import _pick\n"
        "print(*(_pick('abcdefgh', f'activity-{n}', 'opener') for n in range(40)), sep='')"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1
    assert len(set(runs.pop().strip())) > 4
