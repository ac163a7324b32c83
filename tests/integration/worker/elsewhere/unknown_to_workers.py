"""Tasks of a release that the workers don't have yet: only the producer can import this."""

from jobs import app  # type: ignore[import-not-found]


@app.task  # type: ignore[untyped-decorator]
def unheard_of() -> None:
    """Never run."""
