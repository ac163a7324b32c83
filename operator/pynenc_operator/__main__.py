"""`python -m pynenc_operator`: the operator's process."""

import argparse
import asyncio
import logging
import os
import sys

from pynenc_operator import app
from pynenc_operator.config import PREFIX, SETTINGS, ConfigError, OperatorConfig
from pynenc_operator.kube_connection import ConfigurationError


def _help() -> str:
    lines = [
        f"  {PREFIX}{name:22} {text} ({'required' if default is None else 'default: ' + (default or 'empty')})"
        for name, default, text in SETTINGS
    ]
    return "\n".join(
        [
            "Settings come from the environment; the chart sets them:",
            *lines,
            "",
            "The API server is reached with the pod's ServiceAccount, or by KUBECONFIG.",
        ]
    )


def main() -> None:
    """Run the operator until SIGTERM; exit code 0 then, 2 for wrong settings."""
    parser = argparse.ArgumentParser(
        prog="pynenc-operator",
        description="Keeps a pool of worker pods for each MultiThreadRunner.",
        epilog=_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        config = OperatorConfig.from_environment(os.environ)
        logging.basicConfig(
            level=config.log_level, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        logging.getLogger("kopf").setLevel(max(logging.getLogger().level, logging.WARNING))
        # It warns that it leaves signals alone, outside the main thread: that is meant.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        asyncio.run(app.run(config))
    except (ConfigError, ConfigurationError) as error:
        sys.stderr.write(f"pynenc-operator: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
