"""The rules for a comment in an account's name."""

from __future__ import annotations

import pytest

from engagement_core.decisions.comment_rules import MAX_LENGTH, Chosen, check_comment, check_spoken, choose_text

ORIGINAL = "Great post!"


@pytest.mark.parametrize(
    "text",
    [
        ORIGINAL,
        "  surrounded by space\n",
        "two\nlines\tand a tab",
        "line ends of\r\none system\rand another",
        "single {braces} are only braces",
        "👩‍👩‍👧 with joiners",
        "x" * MAX_LENGTH,
        "\n" + "x" * MAX_LENGTH + "  ",
        "👏" * MAX_LENGTH,
    ],
)
def test_an_ordinary_comment_has_no_problem(text: str) -> None:
    """Length is counted in code points, after trimming."""
    assert check_comment(text) == ()


@pytest.mark.parametrize("text", [None, "", " \n\t ", "\u200b", "\u200b \ufeff", "\u2028"])
def test_a_comment_that_shows_nothing_is_empty(text: str | None) -> None:
    """Nothing, white space and invisible characters are all no comment."""
    assert check_comment(text) == ("it is empty",)


def test_a_comment_longer_than_the_provider_takes_is_a_problem() -> None:
    """One character too many is a problem, and the problem names both numbers."""
    assert check_comment("x" * 1251) == ("it has 1251 characters; the provider takes 1250",)


@pytest.mark.parametrize("text", ["Hi {{0}}", "Hi {{", "Hi }}"])
def test_double_braces_are_a_problem(text: str) -> None:
    """The provider reads them as a mention of somebody."""
    assert check_comment(text) == ("it has double braces, which the provider reads as a mention",)


@pytest.mark.parametrize(
    ("text", "named"), [("a\x00b", "U+0000"), ("a\x1b[1mb", "U+001B"), ("a\x85b", "U+0085"), ("a\ud800b", "U+D800")]
)
def test_characters_that_cannot_be_sent_are_named(text: str, named: str) -> None:
    """Control characters and halves of surrogate pairs are refused by their code points."""
    assert check_comment(text) == (f"it has control characters: {named}",)


def test_every_problem_is_reported_at_once() -> None:
    """A person who corrects a row must not find the next problem only after the first."""
    assert len(check_comment("{{" + "\x00" * 1300 + "x")) == 3


@pytest.mark.parametrize(
    "spoken",
    [
        ORIGINAL,
        "This is a fantastic post and I love the insights!",
        "Sure, this makes sense. Great post!",
        "Absolutely! Here we go again: great post.",
        "Absolutely, I have seen that too. Great post!",
        "Here's to many more. Great post!",
        'I call this "great", and you "good".',
        "I'm sorry I missed this earlier. Great post!",
        "Version control for teams, e.g. yours, at 3.5 a day",
        "That's 100% it... truly great!",
        "I <3 this & that; 1 < 2 > 0",
    ],
)
def test_a_voice_may_rephrase(spoken: str) -> None:
    """A text that only resembles something forbidden is allowed."""
    assert check_spoken(ORIGINAL, spoken) == ()


@pytest.mark.parametrize(
    ("spoken", "problem"),
    [
        ("  ", "it is empty"),
        ("x" * 1251, "it has 1251 characters; the provider takes 1250"),
        ("Hi {{0}}", "it has double braces, which the provider reads as a mention"),
        ("{opener} Great post!", "it has braces that the original does not have"),
        ("Great post! }", "it has braces that the original does not have"),
        ("Great post! https://example.com/x", "it has a link that the original does not have"),
        ("Great post! See www.example", "it has a link that the original does not have"),
        ("Great post! See Example.com.", "it has a link that the original does not have"),
        ("Great post.Love it", "it has a link that the original does not have"),
        ("Great post! me@example.com", "it has a link that the original does not have"),
        ("Great post, @ada!", "it has a mention that the original does not have"),
        ("Great post! \uff20ada", "it has a mention that the original does not have"),
        ("Great post! #growth", "it has a hashtag that the original does not have"),
        ("Great post! \uff03growth", "it has a hashtag that the original does not have"),
        ("<p>Great post!</p>", "it has HTML that the original does not have"),
        ("Great<br/>post!", "it has HTML that the original does not have"),
        ("Great <!-- x --> post", "it has HTML that the original does not have"),
        ("Fish &amp; chips", "it has HTML that the original does not have"),
        ("Great&#33;", "it has HTML that the original does not have"),
        ('"Great post!"', "it is wrapped in quotation marks"),
        ("'Great post!'", "it is wrapped in quotation marks"),
        ("\u201cGreat post!\u201d", "it is wrapped in quotation marks"),
        ("\u00abGreat post!\u00bb", "it is wrapped in quotation marks"),
        ("```\nGreat post!\n```", "it is wrapped in quotation marks"),
        ("Sure! Here is your comment:\nGreat post!", "it talks about the comment instead of being the comment"),
        ("Sure! Here you go: Great post!", "it talks about the comment instead of being the comment"),
        ("Of course. I've made it warmer: Great post!", "it talks about the comment instead of being the comment"),
        ("Sure! I've rewritten it: Great post!", "it talks about the comment instead of being the comment"),
        ("Here's a friendlier version: Great post!", "it talks about the comment instead of being the comment"),
        ("Here are three options\n1. Great post!", "it talks about the comment instead of being the comment"),
        ("Comment: Great post!", "it talks about the comment instead of being the comment"),
        ("**Rewritten comment:** Great post!", "it talks about the comment instead of being the comment"),
        ("As an AI language model, I think it is great.", "it talks about the comment instead of being the comment"),
        ("I'm sorry, but I can't help with that.", "it talks about the comment instead of being the comment"),
        ("I cannot rewrite this.", "it talks about the comment instead of being the comment"),
    ],
)
def test_what_a_voice_may_not_add_is_named(spoken: str, problem: str) -> None:
    """Each example is a real way in which a voice's result was wrong."""
    assert problem in check_spoken(ORIGINAL, spoken)


@pytest.mark.parametrize(
    ("original", "spoken"),
    [
        ("See https://example.com.", "Love this! See https://example.com!"),
        ("Thanks @ada", "So good. Thanks @Ada."),
        ("#growth matters", "True: #Growth matters"),
        ("Use {name} here", "Right! Use {name} here"),
        ('"Great post!"', '"Fantastic post!"'),
        ("Here is the draft we spoke of", "Here is the draft we spoke of!"),
    ],
)
def test_what_the_original_has_may_stay(original: str, spoken: str) -> None:
    """Only what a voice adds is judged, whatever its case and the punctuation after it."""
    assert check_spoken(original, spoken) == ()


def test_another_link_than_the_originals_is_a_problem() -> None:
    """A voice may repeat a link, never change it."""
    assert check_spoken("See https://example.com/a", "See https://example.com/b") != ()


def test_a_good_result_is_chosen_trimmed() -> None:
    """The text that was counted is the text that is sent."""
    assert choose_text(ORIGINAL, " Fantastic post!\r\nReally. ") == Chosen(
        text="Fantastic post!\nReally.", used_voice=True
    )


def test_a_bad_result_costs_the_voice_not_the_comment() -> None:
    """The original is sent, and the reason is kept."""
    chosen = choose_text(" Great post! ", "Great post! #growth")
    assert chosen == Chosen(
        text=ORIGINAL, used_voice=False, problems=("it has a hashtag that the original does not have",)
    )


def test_a_voice_that_failed_leaves_the_original() -> None:
    """There is nothing to judge then, so there is no problem either."""
    assert choose_text(ORIGINAL, None) == Chosen(text=ORIGINAL, used_voice=False, problems=())


def test_no_problem_quotes_the_comment() -> None:
    """Problems go to logs and rows, where a comment's text must not appear."""
    for problem in check_spoken(ORIGINAL, 'see https://secret.example @secret #secret "secret" {secret}'):
        assert "secret" not in problem
