"""That a secret is found in whatever form, since a search that finds nothing proves nothing by itself."""

import base64
import json

import pytest

from tests.secrecy import forms, passwords, seen

SECRET = "pä55/w@rd:\n%"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "redis://:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "@redis:6379/0"])
def test_it_is_found_in_base64_wherever_it_stands(before: str, after: str) -> None:
    text = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()
    assert any(form in text for form in forms(SECRET))


@pytest.mark.parametrize(
    "text",
    [SECRET, json.dumps({"url": SECRET}), f"ConnectionError({SECRET!r})", "redis://:p%C3%A455%2Fw%40rd%3A%0A%25@r"],
)
def test_it_is_found_as_it_is_written(text: str) -> None:
    assert seen([SECRET], {"log": f"before {text} after", "other": "nothing"}) == [f"log holds {SECRET!r}"]


@pytest.mark.parametrize("text", ["", "another", base64.b64encode(b"something else entirely").decode()])
def test_nothing_is_found_where_it_is_not(text: str) -> None:
    assert seen([SECRET], {"log": text}) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("redis://user:pa55%40word@redis:6379/0", {"pa55%40word", "pa55@word"}),
        ("redis://redis:6379", set()),
        ("redis://:short@redis", set()),
        ("no-url-at-all\n", {"no-url-at-all"}),
        ("redis://:pa55word@[half", {"redis://:pa55word@[half"}),
    ],
)
def test_of_a_secret_that_holds_a_url_the_password_has_to_stay_unseen(value: str, found: set[str]) -> None:
    assert passwords(value) == found
