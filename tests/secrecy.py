"""Looking for secrets in what anybody may read, in every form in which one is written down. Pure."""

import base64
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote, urlsplit

SHORTEST = 8  # characters: a shorter secret stands in many a text by chance


def forms(secret: str) -> set[str]:
    """A secret as it is, as a URL, JSON or Python writes it, and what base64 makes of it wherever it stands."""
    data = secret.encode()
    found = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        # The first characters hold what stands before, the last one what follows.
        found.add(text[(before * 8 + 5) // 6 : len(data) * 8 // 6 + before * 8 // 6])
    return {form for form in found if len(form) >= SHORTEST}


def passwords(value: str) -> set[str]:
    """What of a Secret's value has to stay unseen: a URL's password, else all of it."""
    try:
        password = urlsplit(value.strip()).password if "://" in value else value.strip()
    except ValueError:
        password = value.strip()
    return {text for text in (password, unquote(password or "")) if text and len(text) >= SHORTEST}


def seen(secrets: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """Which texts, by what they are, hold which secrets."""
    return sorted(
        f"{what} holds {secret!r}"
        for secret in set(secrets)
        for what, text in texts.items()
        if any(form in text for form in forms(secret))
    )
