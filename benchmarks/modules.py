"""Where Go keeps the sources of what is built on demand: manifests are taken from there."""

import json
import subprocess
from pathlib import Path

from tests.cluster.console import ClusterError
from tests.cluster.programs import Program


def folder_of(program: Program) -> Path:
    """The module's folder, fetched if it is not there any more."""
    line = ["go", "mod", "download", "-json", program.module]
    done = subprocess.run(line, cwd=program.folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise ClusterError(f"the module of {program.name} can't be had: {done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Dir"])
