"""What pynenc's two lines, 0.3 and 0.4, do differently: 0.4 has named queues and priorities, 0.3 a single queue."""

from collections.abc import Mapping
from typing import Final

from pynenc import Pynenc
from pynenc.conf.config_runner import ConfigRunner

from pynenc_worker import contract, queuekeys
from pynenc_worker.config import ConfigError
from pynenc_worker.versions import pynenc_version

HAS_QUEUES: Final = hasattr(ConfigRunner, "queues")


def refuse_queues(environ: Mapping[str, str]) -> None:
    """Stop where queues are named that this pynenc would silently ignore.

    :raises ConfigError: begins with the word by which the operator knows this cause
    """
    if not HAS_QUEUES and any(environ.get(name) for name in contract.ENV_QUEUES):
        raise ConfigError(
            f"{contract.QUEUES_UNSUPPORTED}: spec.queues needs pynenc 0.4, and this image has {pynenc_version()}, "
            "which has a single queue: leave queues out, or put pynenc 0.4 into the image and into the producers"
        )


def accept_own_queues(app: Pynenc) -> None:
    """Let the app's broker know the queues that the resource names, beside those that the app configures.

    Without it pynenc would warn of each of them, or refuse them where the app has asked for that.
    """
    if HAS_QUEUES:
        conf = app.broker.conf
        conf.queues = tuple(dict.fromkeys((*conf.queues, *app.runner.conf.queues)))


def served_queues(app: Pynenc) -> tuple[str, ...]:
    """The queues that this runner takes work from: those of the resource, or else all that the app configures."""
    if not HAS_QUEUES:
        return (queuekeys.DEFAULT,)
    return tuple(app.runner.conf.queues or app.broker.conf.queues)
