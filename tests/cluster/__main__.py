"""The command line: `python -m tests.cluster COMMAND`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import access, earlier, images, lifecycle, node_images
from tests.cluster.build import build
from tests.cluster.console import ClusterError, say
from tests.cluster.paths import ClusterPaths

_CLIENTS = ("kubectl", "helm")


def main(line: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        # The rest of these is another program's: argparse would take `kubectl -n kube-system` for an option of ours.
        if line[:1] == ["exec"] and line[1:2] not in (["-h"], ["--help"]):
            return access.execute(ClusterPaths.current(), line[2:] if line[1:2] == ["--"] else line[1:])
        if line[:1] and line[0] in _CLIENTS:
            return access.execute(ClusterPaths.current(), line)
        arguments = _parser().parse_args(line)
        run: Callable[[argparse.Namespace], int | None] = arguments.run
        return run(arguments) or 0
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where it was")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str, run: Callable[[argparse.Namespace], int | None]) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    here = ClusterPaths.current
    programs = add("programs", "build what is missing of the cluster's programs", lambda a: build(a.names))
    programs.add_argument("names", nargs="*", metavar="NAME")
    start = add("up", "start the cluster", lambda a: lifecycle.up(here(), a.nodes))
    start.add_argument("--nodes", type=int, metavar="N", help="how many nodes; without it as many as it has, or one")
    add("down", "end the cluster and remove everything of it", lambda _: lifecycle.down(here()))
    add("status", "say what the cluster is doing; 0 if it is usable", lambda _: access.status(here()))
    load = add("load", "import OCI archives into every node", lambda a: node_images.load_archives(here(), a.files))
    load.add_argument("files", nargs="+", type=Path, metavar="FILE.tar")
    built = add("images", "build the images and load them into the cluster, if it is up", _images)
    more = built.add_mutually_exclusive_group()
    more.add_argument("--earlier", action="store_true", help="those of the version that upgrades are tested from")
    more.add_argument("--backends", action="store_true", help="and the demo's with other lines and plugins of pynenc")
    logs = add("logs", "print a component's log", lambda a: access.logs(here(), a.name))
    logs.add_argument("name", metavar="COMPONENT")
    # For the list of commands only: `main` has taken these.
    commands.add_parser("exec", help="run a command in the cluster's network", usage="%(prog)s [--] CMD ...")
    for client in _CLIENTS:
        commands.add_parser(client, help=f"run {client} as the cluster's administrator", usage="%(prog)s ARGS ...")
    return parser


def _images(arguments: argparse.Namespace) -> None:
    usual = images.FOR_BACKENDS if arguments.backends else images.IMAGES
    images.build_and_load(earlier.images() if arguments.earlier else usual)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
