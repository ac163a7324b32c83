"""What the cluster's components are told."""

import ipaddress
import itertools
import json
import tarfile
import tomllib
from pathlib import Path

import pytest

from tests.cluster import components, dns, machine, membership, node, oci
from tests.cluster.control_plane import AUDIT_POLICY, Etcd
from tests.cluster.node import NODE
from tests.cluster.paths import ClusterPaths
from tests.cluster.pip_configuration import parse

PATHS = ClusterPaths("unit")


def test_containerd_keeps_everything_below_the_cluster_or_its_own_run() -> None:
    written = node.containerd_config(Path("/state/node1"))
    read = tomllib.loads(written)
    assert read["root"] == "/state/node1/containerd"
    assert read["state"] == "/run/containerd"
    assert read["grpc"]["address"] == node.CONTAINERD_SOCKET
    images = read["plugins"]["io.containerd.cri.v1.images"]
    assert images["pinned_images"]["sandbox"] == node.PAUSE_IMAGE
    assert read["plugins"]["io.containerd.cri.v1.runtime"]["cni"]["conf_dir"] == "/state/node1/cni"


def test_pods_of_two_clusters_or_nodes_are_in_different_cgroups() -> None:
    configurations = [
        node.kubelet_config(each, name, Path("ca.crt")) for name in ("one", "two") for each in node.nodes(2)
    ]
    assert len({configuration["cgroupRoot"] for configuration in configurations}) == 4


def test_pods_use_the_cluster_dns_and_are_routed_through_the_node() -> None:
    assert node.kubelet_config(NODE, "one", Path("ca.crt"))["clusterDNS"] == ["10.96.0.10"]
    assert [plugin["type"] for plugin in node.pod_network(NODE)["plugins"]] == ["ptp"]


def test_nodes_that_share_a_network_share_no_address_no_pods_and_no_socket() -> None:
    several = node.nodes(node.MOST_NODES)
    pods = [ipaddress.IPv4Network(each.pod_cidr) for each in several]
    assert all(block.subnet_of(ipaddress.IPv4Network(node.POD_CIDR)) for block in pods)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(pods, 2))
    assert len({each.ip for each in several}) == len({each.socket for each in several}) == node.MOST_NODES
    addresses = {node.kubelet_config(each, "one", Path("ca.crt"))["address"] for each in several}
    assert addresses == {each.ip for each in several}


def test_a_further_nodes_components_run_on_it_and_those_that_are_named_are_those_that_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNENC_OPERATOR_CACHE", str(tmp_path))
    monkeypatch.setattr(components, "command", Path)  # the programs need not be built
    monkeypatch.setattr(machine, "command", lambda _, each: [each.name])
    assert node.nodes_of(PATHS) == (NODE,)
    for each in node.nodes(2):
        each.folder(PATHS).mkdir(parents=True)
    assert node.nodes_of(PATHS) == node.nodes(2)
    started = components.every(PATHS)
    assert [component.name for component in started] == components.names(PATHS)
    assert {component.name for component in started if component.machine} == {"containerd-node2", "kubelet-node2"}
    assert components.of_machine(node.numbered(2)) == ["node2", "containerd-node2", "kubelet-node2"]


def test_dns_stands_behind_the_service_that_pods_expect() -> None:
    items = {item["kind"]: item for item in dns.manifests(NODE)["items"]}
    assert items["Service"]["metadata"]["name"] == "kube-dns"
    assert items["Service"]["spec"]["clusterIP"] == node.DNS_SERVICE_IP
    assert items["EndpointSlice"]["metadata"]["labels"]["kubernetes.io/service-name"] == "kube-dns"
    assert items["EndpointSlice"]["endpoints"][0]["addresses"] == [NODE.ip]


def test_dns_forwards_nothing() -> None:
    assert "forward" not in dns.corefile(NODE, PATHS)


def test_etcd_listens_on_loopback_only(tmp_path: Path) -> None:
    line = Etcd(tmp_path, 1000, 1001).command(Path("etcd"))
    addresses = [word for word in line if "://" in word]
    assert len(addresses) == 5
    assert all("http://127.0.0.1:" in address for address in addresses)


def test_the_audit_log_has_each_request_once() -> None:
    assert AUDIT_POLICY["omitStages"] == ["RequestReceived", "ResponseStarted"]


def test_an_image_of_one_program_is_a_readable_oci_archive(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    oci.write_archive(tmp_path / "pause.tar", "localhost/pause:1", program)
    with tarfile.open(tmp_path / "pause.tar") as archive:

        def read(digest: str) -> bytes:
            file = archive.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file
            return file.read()

        index = archive.extractfile("index.json")
        assert index
        described = json.load(index)["manifests"][0]
        assert described["annotations"]["io.containerd.image.name"] == "localhost/pause:1"
        manifest = json.loads(read(described["digest"]))
        assert json.loads(read(manifest["config"]["digest"]))["config"]["Entrypoint"] == ["/pause"]
        assert len(read(manifest["layers"][0]["digest"])) == manifest["layers"][0]["size"]


def test_a_record_of_another_process_of_the_same_number_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNENC_OPERATOR_CACHE", str(tmp_path))
    PATHS.state.mkdir(parents=True)
    assert membership.init_pid(PATHS) is None
    noted = membership.record(PATHS)
    assert membership.init_pid(PATHS) == json.loads(noted)["pid"]
    assert membership.is_recorded(PATHS, noted)
    PATHS.init_record.write_text(json.dumps(json.loads(noted) | {"identity": "another-boot-1"}))
    assert membership.init_pid(PATHS) is None
    assert not membership.is_recorded(PATHS, noted)


def test_pip_in_a_build_gets_the_index_and_the_certificates_of_the_machine(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.crt"
    bundle.write_text("certificate")
    listing = (
        f":env:.cert='{bundle}'\n:env:.index-url='https://second.example/simple'\n:env:.find-links='/here'\n"
        "global.index-url='https://first.example/simple'\nglobal.timeout='60'\n"
    )
    found = parse(listing, fallback=None)
    assert found
    assert found.certificates == bundle
    assert found.text == ("[global]\nindex-url = https://second.example/simple\ntimeout = 60\ncert = /run/ca.crt\n")


def test_without_a_pip_configuration_a_build_gets_none() -> None:
    assert parse("", fallback=None) is None
    assert parse("", fallback="/nowhere/ca.crt") is None
