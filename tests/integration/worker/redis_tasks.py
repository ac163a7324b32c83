# mypy: disable-error-code="untyped-decorator"
"""Tasks for the tests that use pynenc on Redis in their own process; they never run."""

from pynenc import Pynenc

app = Pynenc()


@app.task
def anything() -> None:
    """Do nothing."""
