"""The demo's user code: what a team that runs pynenc would bring."""
