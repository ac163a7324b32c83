"""What Prometheus' own tool thinks of what is exported."""

import shutil
import subprocess


def check_metrics(exposition: str) -> None:
    """Fail with whatever `promtool check metrics` finds: a syntax error, or a name against the conventions."""
    program = shutil.which("promtool")
    assert program, "there is no promtool: install the packages of tests/cluster/debian-packages.txt"
    found = subprocess.run(
        [program, "check", "metrics"], input=exposition, capture_output=True, text=True, check=False, timeout=60
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
