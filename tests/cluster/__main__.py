"""The command line: `python -m tests.cluster COMMAND`."""

import argparse
import sys

from tests.cluster.build import build
from tests.cluster.console import ClusterError, say


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    programs = commands.add_parser("programs", help="build what is missing of the cluster's programs")
    programs.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    try:
        build(arguments.names)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where it was")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
