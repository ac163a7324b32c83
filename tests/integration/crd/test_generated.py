"""The committed definition is what its source and the pinned Kubernetes make."""

import subprocess
import sys

from tests.cluster.paths import ROOT


def test_the_committed_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hack.generate_crd", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
