"""Prometheus Operator's own CustomResourceDefinitions, from its Go module: there is no package that has them."""

import json
import os
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent  # with the go.mod that pins the module
MODULE = "github.com/prometheus-operator/prometheus-operator"
TRIES = 3
DOWNLOAD_SECONDS = 120.0  # 4 MB


def definitions(*plurals: str) -> list[Path]:
    """The files of these resources' definitions, from Go's module cache or downloaded into it."""
    cause = ""
    for _ in range(TRIES):
        done = subprocess.run(
            ["go", "mod", "download", "-json", MODULE],
            cwd=FOLDER,
            env=os.environ | {"GOFLAGS": "", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
            timeout=DOWNLOAD_SECONDS,
        )
        if done.returncode == 0:
            folder = Path(json.loads(done.stdout)["Dir"]) / "example" / "prometheus-operator-crd"
            return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in plurals]
        cause = done.stdout + done.stderr
    raise AssertionError(f"{MODULE} can't be had: is Go's module proxy reachable (`go env GOPROXY`)? {cause}")
