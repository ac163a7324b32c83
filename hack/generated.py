"""What every generator of files in hack/ ends with: write what is out of date, or only find it."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class GenerateError(Exception):
    """The files can't be generated; the text says why and what to do."""


def main(what: str, remedy: str, generate: Callable[[], dict[Path, str]]) -> int:
    """Write the files that are not as `generate` makes them or, with --check, name them; the exit code.

    `what` is the help of the command line, `remedy` the command that brings the files up to date.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    check: bool = parser.parse_args().check
    try:
        files = generate()
    except GenerateError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        name = path.relative_to(ROOT)
        if check:
            sys.stderr.write(f"{name} is out of date: run `{remedy}` and commit the result\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path])
            sys.stdout.write(f"wrote {name}\n")
    return 1 if check and stale else 0
