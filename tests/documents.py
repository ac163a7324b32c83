"""The documents' fenced blocks, for tests that do what the documents say."""

import re


def blocks(page: str, language: str) -> list[str]:
    """The contents of a page's blocks in a language (```sh, ```yaml ...), in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
