"""Get what a fresh machine lacks: uv, the locked Python environment, Debian packages.

Runs on any Python 3 with the standard library alone, since it comes before everything else. Each
step looks first and does nothing when its result is already there, so it is cheap to repeat and
safe to interrupt.

    python3 hack/bootstrap.py env        uv, .venv with requirements/dev.txt, and beside it .venv-next and .venv-mongodb
    python3 hack/bootstrap.py machine    root, Go, Debian packages: what the local cluster needs
    python3 hack/bootstrap.py lock       resolve requirements/*.in again
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("PYNENC_OPERATOR_CACHE") or Path.home() / ".cache" / "pynenc-operator")
VENV = ROOT / ".venv"
PYTHONS = ("3.13", "3.12")  # preferred first; cistell, which pynenc needs, has wheels for just these
GO = (1, 26)


class MissingError(Exception):
    """Something that this script can't get by itself; the text says how to."""


def say(text: str) -> None:
    """Print one line of progress at once, also into a pipe."""
    print(text, flush=True)


def run(args: list[Any], **options: Any) -> None:
    """Run a command and raise with its name if it fails."""
    subprocess.run([str(a) for a in args], check=True, **options)


def uv() -> Path:
    """Path of the uv of requirements/bootstrap.txt, installed under the cache when it is not there yet."""
    pins = (ROOT / "requirements" / "bootstrap.txt").read_text()
    version: str = re.findall(r"^uv==(\S+)", pins, re.MULTILINE)[0]
    target = CACHE / "uv" / version
    program = target / "bin" / "uv"
    if program.exists():
        return program
    say(f"getting uv {version} ...")
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise MissingError(f"{sys.executable} has no pip. On Debian: apt-get install python3-pip")
    partial = target.with_name(f"{version}.partial-{os.getpid()}")
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--target",
            partial,
            "--root-user-action=ignore",
            "--disable-pip-version-check",
            "-r",
            ROOT / "requirements" / "bootstrap.txt",
        ]
    )
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return program


def interpreter() -> str:
    """A Python that the project runs on: from PATH, from pyenv, or a version number for uv to fetch."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in PYTHONS:
        candidates = [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}*/bin/python"))]
        for candidate in filter(None, candidates):
            answer = subprocess.run(
                [str(candidate), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.stdout.strip() == version:  # a pyenv shim may stand for a version that isn't chosen
                return str(candidate)
    return PYTHONS[0]


def stamped(stamp: Path, inputs: list[Path]) -> tuple[bool, str]:
    """Whether `stamp` was written for just these input files, and the text to write when it wasn't."""
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in inputs)).hexdigest()
    return (stamp.exists() and stamp.read_text() == digest), digest


def environment() -> None:
    """Make .venv hold requirements/dev.txt and the project itself, and beside it what its tests have workers of."""
    virtual_environment(VENV, "dev.txt")
    virtual_environment(ROOT / ".venv-next", "worker-next.txt")
    virtual_environment(ROOT / ".venv-mongodb", "worker-mongodb.txt", project=False)


def virtual_environment(folder: Path, locked: str, *, project: bool = True) -> None:
    """Make a virtual environment hold exactly what a locked file names, and the project, which pynenc finds there.

    Without `project` the lock is what an image of somebody's installs, and has nothing that builds a wheel.
    """
    requirements = ROOT / "requirements" / locked
    stamp = folder / ".pynenc-operator-stamp"
    fresh, digest = stamped(stamp, [requirements, Path(__file__), ROOT / "pyproject.toml"])
    if fresh:
        return
    program = uv()
    begun = time.monotonic()
    say(f"making a Python environment of requirements/{locked} ...")
    python = folder / "bin" / "python"
    if not python.exists():
        run([program, "venv", "--quiet", "--clear", "--python", interpreter(), folder])
    run([program, "pip", "sync", "--quiet", "--require-hashes", "--python", python, requirements])
    if project:
        run([program, "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--python", python, "-e", ROOT])
    stamp.write_text(digest)
    say(f"it is ready ({time.monotonic() - begun:.0f} s)")


def debian_packages() -> None:
    """Install the Debian packages of tests/cluster/debian-packages.txt that are missing, starting no daemon."""
    lines = (ROOT / "tests" / "cluster" / "debian-packages.txt").read_text().splitlines()
    wanted = [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]
    if not shutil.which("dpkg-query"):
        raise MissingError(
            "this is no Debian: install what these Debian packages bring, or run the cluster "
            "on Debian 12: " + " ".join(wanted)
        )
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    installed = {line.split()[0] for line in listed.splitlines() if line.endswith(" installed")}
    missing = [name for name in wanted if name not in installed]
    if not missing:
        return
    say("installing Debian packages: " + " ".join(missing))
    policy = Path("/usr/sbin/policy-rc.d")  # Debian's way to say that no service may be started
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    quiet = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    try:
        run(["apt-get", "update", "-qq"], env=quiet)
        run(
            ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing],
            env=quiet,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if ours:
            policy.unlink()


def machine() -> None:
    """Check what can't be installed from here (root, Go), then get the Debian packages."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise MissingError("the local cluster needs Linux and root: run this as root (sudo make ...)")
    go = shutil.which("go")
    found = go and subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = tuple(int(n) for n in re.findall(r"\d+", found or "")[:2])
    if version < GO:
        has = "is missing" if not version else "is {}.{}".format(*version)
        raise MissingError(
            "Go {} {}.{} or newer builds the cluster's programs: https://go.dev/doc/install".format(has, *GO)
        )
    debian_packages()


def lock() -> None:
    """Resolve requirements/*.in again into the hashed *.txt, for each Python and platform at once."""
    for wanted in sorted((ROOT / "requirements").glob("*.in")):
        say(f"resolving {wanted.name} ...")
        compiling = [uv(), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header"]
        target = ["--python", interpreter(), "--python-version", PYTHONS[-1]]
        run([*compiling, "--no-annotate", *target, wanted, "-o", wanted.with_suffix(".txt")])


STEPS = {"env": environment, "machine": machine, "lock": lock}


def main() -> None:
    """Run the named steps; a missing thing is one line with its mend and exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="+", choices=sorted(STEPS))
    try:
        for step in parser.parse_args().steps:
            STEPS[step]()
    except MissingError as error:
        sys.exit(f"missing: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"failed ({error.returncode}): {' '.join(map(str, error.cmd))}")
    except KeyboardInterrupt:
        sys.exit("interrupted; run it again to go on")


if __name__ == "__main__":
    main()
