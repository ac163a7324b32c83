"""What the chart's README tells a Prometheus without Prometheus Operator is what the chart's own monitors do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from pynenc_operator import labels
from pynenc_operator.podspec import WORKER
from pynenc_worker.contract import METRICS_PORT
from tests import documents

CHART = Path(__file__).parents[3] / "charts" / "pynenc-operator"
BLOCKS = documents.blocks((CHART / "README.md").read_text(), "yaml")
POD_LABEL = "__meta_kubernetes_pod_label_"


def job(name: str) -> list[dict[str, Any]]:
    """The relabelling of a job."""
    [block] = [yaml.safe_load(block) for block in BLOCKS if block.startswith("scrape_configs:")]
    [found] = [each["relabel_configs"] for each in block["scrape_configs"] if each["job_name"] == name]
    return list(found)


def meta(label: str) -> str:
    """What Prometheus calls a label of a pod."""
    return POD_LABEL + re.sub(r"\W", "_", label)


def test_prometheus_takes_it(tmp_path: Path) -> None:
    [block] = [yaml.safe_load(block) for block in BLOCKS if block.startswith("scrape_configs:")]
    for each in block["scrape_configs"]:  # Debian's promtool is built without the discovery of Kubernetes
        assert {found["role"] for found in each.pop("kubernetes_sd_configs")} == {"pod"}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(block))
    program = shutil.which("promtool")
    assert program, "there is no promtool: install the packages of tests/cluster/debian-packages.txt"
    checked = [program, "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(checked, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workers_get_the_labels_that_the_charts_pod_monitor_gives_them() -> None:
    template = (CHART / "templates" / "podmonitor-workers.yaml").read_text()
    given = dict(re.findall(r'"sourceLabels" \(list "(\w+)"\) "targetLabel" "(\w+)"', template))
    assert given == {"__meta_kubernetes_namespace": "runner_namespace", meta(labels.RUNNER): "runner"}
    told = {(one["source_labels"][0], one["target_label"]) for one in job("pynenc-workers") if "target_label" in one}
    assert given.items() <= told


def test_only_workers_are_kept() -> None:
    kept = {one["source_labels"][0]: one["regex"] for one in job("pynenc-workers") if one.get("action") == "keep"}
    assert kept == {
        meta(labels.MANAGED_BY): labels.MANAGED_BY_US,
        "__meta_kubernetes_pod_container_name": WORKER,
        "__meta_kubernetes_pod_container_port_number": str(METRICS_PORT),
    }


def test_both_have_the_labels_that_alerts_and_dashboards_ask_for() -> None:
    for name in ("pynenc-operator", "pynenc-workers"):
        assert {"namespace", "pod"} <= {one.get("target_label") for one in job(name)}
