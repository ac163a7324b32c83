"""Tasks of a release that the workers don't have yet: only the producer can import this."""

from jobs import app


@app.task
def unheard_of() -> None:
    """Never run."""
