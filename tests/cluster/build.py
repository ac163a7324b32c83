"""Building the programs from the Go module proxy: once, one at a time, and safe to interrupt."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.cluster import long_command
from tests.cluster.console import ClusterError, Progress, say
from tests.cluster.locks import exclusive
from tests.cluster.paths import cache
from tests.cluster.programs import ON_DEMAND, PROGRAMS, Program

GO = (1, 26)
_LONGEST_BUILD = 3 * 3600.0  # seconds


def build(names: Iterable[str]) -> None:
    """Build what is missing of these programs (of the cluster's, without names)."""
    known = PROGRAMS | ON_DEMAND
    chosen = list(names) or list(PROGRAMS)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ClusterError(f"no program is called {', '.join(unknown)}: choose from {', '.join(known)}")
    programs = [known[name] for name in chosen]
    if all(p.built.exists() for p in programs):
        return
    folder = cache() / "programs"
    with exclusive(folder / "lock", "building the cluster's programs", timeout=_LONGEST_BUILD):
        missing = [p for p in programs if not p.built.exists()]
        if not missing:
            return
        _check_go()
        for leftover in folder.glob("partial-*"):  # of a build that was killed: nobody else builds now
            shutil.rmtree(leftover, ignore_errors=True)
        for number, program in enumerate(missing, start=1):
            _build(program, folder, f"[{number}/{len(missing)}] {program.name} {program.version}")


def _build(program: Program, folder: Path, title: str) -> None:
    partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder))
    partial.chmod(0o755)
    try:
        packages = list(program.commands.values())
        total = len(_go(program, ["list", "-deps", *program.flags, *packages], f"{title}, getting modules"))
        single = len(packages) == 1  # etcd's main package would name its program "server"
        output = partial / next(iter(program.commands)) if single else f"{partial}/"
        _go(program, ["build", "-v", *program.flags, "-o", str(output), *packages], f"{title}, compiling", total)
        lacking = [name for name in program.commands if not (partial / name).exists()]
        if lacking:
            raise ClusterError(f"the build of {program.name} made no {', '.join(lacking)}: see programs.py")
        partial.rename(program.built)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _go(program: Program, arguments: list[str], title: str, total: int | None = None) -> list[str]:
    """Run go in the program's folder, show how far it is, and return its lines of output.

    go prints a line for each package that it compiles and for each module that it downloads, on stderr.
    """
    progress = Progress(title)
    done = long_command.run(
        ["go", *arguments],
        progress,
        lambda noted: _far(noted, total),
        timeout=_LONGEST_BUILD,
        cwd=program.folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
    )
    if done.code:
        reason = "\n".join(done.errors[-20:])
        raise ClusterError(f"`go {arguments[0]}` failed for {program.name}:\n{reason}\n{_mend(reason)}")
    progress.done(_far(done.errors, total))
    return done.output


def _far(noted: list[str], total: int | None) -> str:
    if total is None:
        return f"{sum(line.startswith('go: downloading') for line in noted)} modules downloaded"
    compiled = sum(not line.startswith("go: ") for line in noted)
    return f"{compiled} packages compiled of at most {total}"


def _mend(reason: str) -> str:
    if re.search(r"dial tcp|proxy|lookup|timeout|connection", reason):
        return (
            "The Go module proxy was not reachable: check GOPROXY (`go env GOPROXY`) and the network; then try again."
        )
    if "no space left" in reason:
        return "The disk is full: the builds need about 6 GB (`go env GOCACHE GOMODCACHE` says where)."
    return "Run it again; what is compiled already is kept."


def _check_go() -> None:
    """Fail with the mend when Go is missing or too old."""
    needed = ".".join(map(str, GO))
    mend = f"Install Go {needed} or newer from https://go.dev/dl/ and put its bin folder on PATH"
    if shutil.which("go") is None:
        raise ClusterError(f"there is no `go` on PATH, and the cluster's programs are built with it. {mend}.")
    folder = PROGRAMS["kubernetes"].folder
    asked = subprocess.run(
        ["go", "env", "GOVERSION"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    found = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    if asked.returncode or not found or (int(found[1]), int(found[2])) < GO:
        raise ClusterError(
            f"Go is too old for the cluster's programs: {(asked.stdout or asked.stderr).strip()}. {mend}, "
            "or let go fetch it: `go env -w GOTOOLCHAIN=auto`."
        )
    say(f"building the cluster's programs with {asked.stdout.strip()}; what is compiled once is kept")
