"""A real Prometheus of Debian's package on loopback, which scrapes every second and loads the chart's alerts."""

import json
import math
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

type Json = dict[str, Any]

STARTED_WITHIN = 30.0
ANSWERED_WITHIN = 10.0


def static(targets: dict[str, tuple[str, dict[str, str]]]) -> list[Json]:
    """Scrape configurations of addresses by job, with the labels that a monitor adds."""
    return [
        {"job_name": job, "static_configs": [{"targets": [address], "labels": labels}]}
        for job, (address, labels) in targets.items()
    ]


class PrometheusServer:
    """prometheus in a folder of its own."""

    def __init__(self, folder: Path, scrape_configs: list[Json], rules: list[Path]) -> None:
        self._program = shutil.which("prometheus")
        assert self._program, "there is no prometheus: install the packages of tests/cluster/debian-packages.txt"
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._process: subprocess.Popen[bytes] | None = None
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rule) for rule in rules],
            "scrape_configs": scrape_configs,
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "config.file": self._folder / "prometheus.yml",
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": self._address,
            "log.level": "warn",
        }
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(self._program), *(f"--{name}={value}" for name, value in options.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + STARTED_WITHIN
        while not self._ready():
            assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()[-1000:]
            assert time.monotonic() < deadline, "prometheus does not answer"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def ask(self, path: str, **parameters: str | float) -> Any:
        """The data of an answer of the HTTP API; it fails with Prometheus' own error."""
        url = f"http://{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWERED_WITHIN) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error

    def scraped(self) -> int:
        """How many times each target was scraped with success, at least."""
        counts = self.ask("query", query="sum_over_time(up[10m])")["result"]
        return min((int(each["value"][1]) for each in counts), default=0)

    def series(self, query: str, start: float, end: float) -> list[tuple[dict[str, str], list[float]]]:
        """The labels and the values of what a query finds, second by second; what is no number is left out."""
        found = self.ask("query_range", query=query, start=start, end=end, step=1)["result"]
        values = [(each["metric"], [float(value) for _, value in each["values"]]) for each in found]
        return [(metric, [value for value in series if not math.isnan(value)]) for metric, series in values]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
