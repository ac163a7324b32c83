"""The releases that a worker says it is made of. Read from files, a millisecond each, and once: reports name them."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def worker_version() -> str:
    """The release of this package; "unknown" when it was copied instead of installed."""
    try:
        return version("pynenc-operator")
    except PackageNotFoundError:
        return "unknown"


@cache
def pynenc_version() -> str:
    """The release of pynenc."""
    return version("pynenc")
