"""A task that only a producer knows: no worker's image holds this module."""

import importlib

app = importlib.import_module("reports.tasks").app


@app.task  # type: ignore[untyped-decorator]
def stray(seconds: float, name: str) -> str:
    """Do nothing, anywhere."""
    del seconds
    return name
