"""What holds for every original and everything that a voice might say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engagement_core.decisions.comment_rules import MAX_LENGTH, check_comment, check_spoken, choose_text

ANYTHING = st.text(st.characters(exclude_categories=())) | st.text("{}@#.:/\"' \r\n\tab\x00\u200b", max_size=40)
COMMENTS = ANYTHING.filter(lambda text: not check_comment(text))
ADDED = st.sampled_from(["@ada", "#growth", "https://example.com", "www.example.com", "example.com", "{", "}", "{{0}}"])
PLAIN = st.text("abc xyz!?,", min_size=1, max_size=60).filter(str.strip)


@given(original=ANYTHING, spoken=ANYTHING | st.none())
def test_choosing_never_raises(original: str, spoken: str | None) -> None:
    """Whatever a table or a voice contains, one text is chosen, and the choice says which one."""
    chosen = choose_text(original, spoken)
    assert not (chosen.used_voice and (spoken is None or chosen.problems))


@given(original=COMMENTS, spoken=ANYTHING | st.none())
def test_what_is_chosen_may_be_sent(original: str, spoken: str | None) -> None:
    """A valid original makes every choice valid: trimmed, within the limit, encodable, without double braces."""
    text = choose_text(original, spoken).text
    assert check_comment(text) == ()
    assert text == text.strip()
    assert 1 <= len(text) <= MAX_LENGTH
    assert "{{" not in text
    assert text.encode()


@given(original=COMMENTS)
def test_the_original_is_always_an_acceptable_result(original: str) -> None:
    """A voice that changes nothing is never refused."""
    assert check_spoken(original, original) == ()


@given(text=ANYTHING)
def test_white_space_around_a_comment_changes_no_judgement(text: str) -> None:
    """Comments are judged in the form in which they are sent: trimmed."""
    assert check_comment(f" \n{text}\t ") == check_comment(text)


@given(original=PLAIN, before=PLAIN, added=ADDED, after=PLAIN)
def test_an_addition_is_found_wherever_it_stands(original: str, before: str, added: str, after: str) -> None:
    """No position hides a link, mention, hashtag or brace that the original does not have."""
    assert check_spoken(original, f"{before} {added} {after}") != ()


@given(length=st.integers(min_value=1, max_value=2 * MAX_LENGTH), character=st.sampled_from(["x", "é", "👏", "字"]))
def test_the_limit_counts_code_points(length: int, character: str) -> None:
    """The limit is 1250 characters in every script."""
    assert (check_comment(character * length) == ()) == (length <= MAX_LENGTH)
