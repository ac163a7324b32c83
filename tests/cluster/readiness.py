"""Waiting for an API server."""

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.cluster.console import ClusterError


def wait_for_api(server: str, authority: Path, *, timeout: float, check: Callable[[], None]) -> None:
    """Return when /readyz says so, which everybody may ask; calls `check` in between, which raises to give up.

    Raises after `timeout` seconds.
    """
    context = ssl.create_default_context(cafile=str(authority))
    deadline = time.monotonic() + timeout
    while True:
        check()
        try:
            with urllib.request.urlopen(f"{server}/readyz", timeout=2, context=context):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise ClusterError(f"the API server at {server} was not ready in {timeout:.0f} s: {error}") from error
        time.sleep(0.1)
