"""What scrapes the operator and its workers, who else may reach it, and the pod of `helm test`."""

from typing import Any

import yaml

from pynenc_operator import labels, podspec
from pynenc_worker import contract
from tests.integration.chart.rendering import CHART, RELEASE, Json, container_of, of_kind, pod_of, render

MONITORED = CHART / "ci" / "monitored-values.yaml"
TOLD: Json = yaml.safe_load(MONITORED.read_text())


def one(objects: list[Json], kind: str) -> Json:
    [found] = of_kind(objects, kind)
    return found


def selects(wanted: dict[str, str], given: dict[str, str]) -> bool:
    """Whether labels have what a selector wants."""
    return wanted.items() <= given.items()


def operator_labels(objects: list[Json]) -> dict[str, str]:
    found: dict[str, str] = one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return found


def worker_of(runner: str) -> Json:
    """A worker's pod, as the operator builds it."""
    spec = {
        "app": "reports.tasks",
        "appId": runner,
        "image": "reports:1",
        "backend": {"redis": {"url": "redis://redis:6379"}},
        "minThreads": 1,
        "maxThreads": 4,
        "drainTimeoutSeconds": 60,
    }
    metadata = {"name": runner, "namespace": "team-a", "uid": "1"}
    return podspec.build_worker_pod({"metadata": metadata, "spec": spec}, f"{runner}-0")


def test_the_service_finds_the_operator_and_not_the_test() -> None:
    objects = render(tests=True)
    service = one(objects, "Service")
    assert selects(service["spec"]["selector"], operator_labels(objects))
    assert not selects(service["spec"]["selector"], one(objects, "Pod")["metadata"]["labels"])
    [port] = service["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in container_of(objects)["ports"]]


def test_monitors_are_made_on_demand() -> None:
    assert {"ServiceMonitor", "PodMonitor", "NetworkPolicy"}.isdisjoint(each["kind"] for each in render())


def test_the_service_monitor_finds_the_service() -> None:
    objects = render(values=MONITORED)
    service, monitor = one(objects, "Service"), one(objects, "ServiceMonitor")
    assert selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    told = TOLD["metrics"]["serviceMonitor"]
    for same in ("interval", "scrapeTimeout", "relabelings", "metricRelabelings"):
        assert endpoint[same] == told[same]
    assert selects(told["labels"], monitor["metadata"]["labels"])
    assert monitor["metadata"]["annotations"] == told["annotations"]
    assert selects(TOLD["metrics"]["service"]["labels"], service["metadata"]["labels"])
    assert service["metadata"]["annotations"] == TOLD["metrics"]["service"]["annotations"]


def test_the_pod_monitor_finds_workers_and_their_port() -> None:
    objects = render(values=MONITORED)
    monitor, worker = one(objects, "PodMonitor"), worker_of("reports")
    given = worker["metadata"]["labels"]
    selector = monitor["spec"]["selector"]
    assert selects(selector["matchLabels"], given)
    assert not selects(selector["matchLabels"], operator_labels(objects))
    assert [(rule["operator"], rule["key"] in given) for rule in selector["matchExpressions"]] == [("Exists", True)]
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    [container] = worker["spec"]["containers"]
    [port] = [port for port in container["ports"] if port["name"] == endpoint["port"]]
    assert port["containerPort"] == contract.METRICS_PORT
    keep, *naming, told = endpoint["relabelings"]
    assert (keep["action"], keep["regex"]) == ("keep", container["name"])
    runner = "__meta_kubernetes_pod_label_" + labels.RUNNER.replace(".", "_").replace("/", "_").replace("-", "_")
    assert [(rule["sourceLabels"], rule["targetLabel"]) for rule in naming] == [
        (["__meta_kubernetes_namespace"], "runner_namespace"),
        ([runner], "runner"),
    ]
    assert [told] == TOLD["metrics"]["podMonitor"]["relabelings"]
    for same in ("interval", "scrapeTimeout", "metricRelabelings"):
        assert endpoint[same] == TOLD["metrics"]["podMonitor"][same]


def test_workers_are_scraped_where_they_are_served() -> None:
    def where(*settings: str) -> Any:
        return one(render("metrics.podMonitor.enabled=true", *settings), "PodMonitor")["spec"]["namespaceSelector"]

    assert where() == {"any": True}
    assert where('watchNamespaces=["team-a","team-b"]') == {"matchNames": ["team-a", "team-b"]}


def ports(rule: Json) -> set[tuple[str, int]]:
    return {(port["protocol"], port["port"]) for port in rule["ports"]}


def test_the_network_policy_lets_the_operator_work() -> None:
    objects = render("networkPolicy.enabled=true")
    spec = one(objects, "NetworkPolicy")["spec"]
    assert selects(spec["podSelector"]["matchLabels"], operator_labels(objects))
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    dns, api, backends = spec["egress"]
    assert ports(dns) == {("UDP", 53), ("TCP", 53)}
    assert ports(api) == {("TCP", 443), ("TCP", 6443)}
    assert ports(backends) == {("TCP", port) for port in (6379, 5671, 5672, 27017)}
    assert all("to" not in rule for rule in spec["egress"])


def test_the_network_policy_can_be_narrowed() -> None:
    objects, told = render(values=MONITORED, tests=True), TOLD["networkPolicy"]
    spec = one(objects, "NetworkPolicy")["spec"]
    [ingress] = spec["ingress"]
    *others, test = ingress["from"]
    assert others == told["metricsFrom"]
    assert selects(test["podSelector"]["matchLabels"], one(objects, "Pod")["metadata"]["labels"])
    dns, api, backends, *more = spec["egress"]
    assert (ports(dns), dns["to"]) == (
        {(protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)},
        told["dns"]["to"],
    )
    assert (ports(api), api["to"]) == ({("TCP", 6443)}, told["apiServer"]["to"])
    assert (ports(backends), backends["to"]) == ({("TCP", 6379), ("TCP", 6380)}, told["backends"]["to"])
    assert more == told["extraEgress"]


def test_the_test_asks_the_service_with_the_operators_image() -> None:
    objects = render(tests=True)
    pod, service = one(objects, "Pod"), one(objects, "Service")
    [container] = pod["spec"]["containers"]
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert container["image"] == container_of(objects)["image"]
    assert container["securityContext"] == container_of(objects)["securityContext"]
    assert pod["spec"]["securityContext"] == pod_of(objects)["securityContext"]
    [port] = service["spec"]["ports"]
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert container["args"][-1] == f"http://{name}.{namespace}.svc:{port['port']}/readyz"
    assert name == f"{RELEASE}-metrics"
