"""The machine's pip configuration, for pip inside an image build: which index, and whom to trust."""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PASSED = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
CERTIFICATES = "/run/ca.crt"  # where the build finds the machine's certificates


@dataclass(frozen=True)
class PipConfiguration:
    """What to give to a build: the text of a pip.conf, and the certificates that it speaks of."""

    text: str
    certificates: Path | None


def machine_configuration() -> PipConfiguration | None:
    """pip's configuration from its files and environment, as far as it matters to a build; None if there is none."""
    asked = subprocess.run(
        [_python_with_pip(), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False, timeout=60
    )
    return parse(asked.stdout, fallback=os.environ.get("SSL_CERT_FILE"))


def parse(listing: str, *, fallback: str | None) -> PipConfiguration | None:
    """Read the output of `pip config list`; `fallback` names certificates where pip has none configured."""
    # Later ones win, as in pip: the environment's are listed as `:env:.index-url`.
    found = dict[str, str]()
    for scope in (r"(?:global|install|download)", ":env:"):
        for name, value in re.findall(rf"^{scope}\.([a-z-]+)=(.*)$", listing, re.MULTILINE):
            found[name] = str(ast.literal_eval(value))
    options = {name: found[name] for name in _PASSED if name in found}
    bundle = found.get("cert") or fallback
    certificates = Path(bundle) if bundle and Path(bundle).is_file() else None
    if certificates:
        options["cert"] = CERTIFICATES
    if not options:
        return None
    lines = [f"{name} = {value.strip().replace(chr(10), chr(10) + '    ')}" for name, value in options.items()]
    return PipConfiguration("[global]\n" + "\n".join(lines) + "\n", certificates)


def _python_with_pip() -> str:
    """A Python that has pip; the project's own environment is made without it."""
    for python in (sys.executable, getattr(sys, "_base_executable", sys.executable), "python3"):
        asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False, timeout=60)
        if asked.returncode == 0:
            return str(python)
    return sys.executable
