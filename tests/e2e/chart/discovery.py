"""What Prometheus' discovery of Kubernetes finds of our pods, as files: Debian's Prometheus is built without it."""

import json
import re
import threading
from pathlib import Path

import yaml

from tests import documents
from tests.cluster.paths import ROOT
from tests.e2e.kubernetes import Json, read

README = (ROOT / "charts" / "pynenc-operator" / "README.md").read_text()
EVERY_SECONDS = 0.5


class Discovery:
    """Keeps a file of targets, with the labels that Kubernetes' discovery gives them, while it is open."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "targets.json"
        self._ended = threading.Event()
        self._failed: Exception | None = None
        self._write()
        self._thread = threading.Thread(target=self._follow, name="discovery", daemon=True)
        self._thread.start()

    def scrape_configs(self) -> list[Json]:
        """Those of the chart's README, with this discovery in the place of Kubernetes'."""
        [block] = [block for block in documents.blocks(README, "yaml") if block.startswith("scrape_configs:")]
        found: list[Json] = yaml.safe_load(block)["scrape_configs"]
        for each in found:
            del each["kubernetes_sd_configs"]
            each["file_sd_configs"] = [{"files": [str(self._file)], "refresh_interval": "1s"}]
        return found

    def close(self) -> None:
        """End it; raises what its last look at the pods has failed with."""
        self._ended.set()
        self._thread.join(10)
        if self._failed:
            raise self._failed

    def _follow(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            try:
                self._write()
                self._failed = None
            except (AssertionError, OSError) as error:  # the targets stay; the next look may succeed
                self._failed = error

    def _write(self) -> None:
        pods = read("/api/v1/pods")["items"]
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps([target for pod in pods for target in _targets(pod)]))
        partial.rename(self._file)


def _targets(pod: Json) -> list[Json]:
    """One for each port of each container."""
    meta = pod["metadata"]
    address = pod["status"].get("podIP")
    about = {"namespace": meta["namespace"], "pod_name": meta["name"], "pod_phase": pod["status"]["phase"]}
    about |= {f"pod_label_{re.sub(r'\W', '_', key)}": value for key, value in meta.get("labels", {}).items()}
    return [
        {
            "targets": [f"{address}:{port['containerPort']}"],
            "labels": {
                f"__meta_kubernetes_{name}": value
                for name, value in {
                    **about,
                    "pod_container_name": container["name"],
                    "pod_container_port_number": str(port["containerPort"]),
                }.items()
            },
        }
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if address
    ]
