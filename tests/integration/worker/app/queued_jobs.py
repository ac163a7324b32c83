# mypy: disable-error-code="untyped-decorator, call-overload"
"""Tasks with a queue or a priority of their own: pynenc 0.4 alone can load this."""

from jobs import app, hold_open, note  # type: ignore[import-not-found] # on the path of worker and producer


@app.task(queue="gpu")
def render(name: str) -> str:
    """Run until the test opens the gate of this name."""
    return str(hold_open(name))


@app.task(queue="gpu", priority=5.0)
def render_soon(name: str) -> str:
    """The same, before others of its queue."""
    return str(hold_open(name))


@app.task(queue="gpu", priority=-5.0)
def render_some_time(name: str) -> str:
    """The same, after others of its queue."""
    return str(hold_open(name))


@app.task(queue="mail")
def send(name: str) -> str:
    """End at once."""
    note("start", name)
    note("end", name)
    return name


@app.task(queue="gpu")
def render_and_send(name: str) -> str:
    """Enqueue into a queue that others serve, without waiting for it."""
    note("start", name)
    send(f"{name}-mail")
    note("end", name)
    return name
