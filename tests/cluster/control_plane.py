"""Command lines of the control plane, as the whole cluster and the half one have them in common."""

import json
from dataclasses import dataclass
from pathlib import Path

SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
ISSUER = "https://kubernetes.default.svc.cluster.local"

# What tests count requests from: who asked for what, once each, when it was answered.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"]},
        {"level": "Metadata", "omitManagedFields": True},
    ],
}


@dataclass(frozen=True)
class Etcd:
    """Where etcd keeps its data and listens; loopback only."""

    data: Path
    client_port: int
    peer_port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.client_port}"

    def command(self, program: Path) -> list[str]:
        """Its command line. A test's data need not survive a power cut, so it never waits for the disk."""
        peer = f"http://127.0.0.1:{self.peer_port}"
        return [
            *(str(program), "--data-dir", str(self.data), "--unsafe-no-fsync", "--log-level", "warn"),
            *("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]


@dataclass(frozen=True)
class ApiServer:
    """What every kube-apiserver here needs, whole cluster or half."""

    etcd: str
    bind: str
    port: int
    certificate: Path
    key: Path
    client_authority: Path
    signing_key: Path
    audit_policy: Path
    audit_log: Path

    def command(self, program: Path, *more: str) -> list[str]:
        """Its command line, with the authorizers and the admission of a kubeadm cluster."""
        return [
            *(str(program), "--etcd-servers", self.etcd, "--allow-privileged"),
            *("--bind-address", self.bind, "--secure-port", str(self.port)),
            *("--tls-cert-file", str(self.certificate), "--tls-private-key-file", str(self.key)),
            *("--client-ca-file", str(self.client_authority), "--authorization-mode", "Node,RBAC"),
            *("--enable-admission-plugins", "NodeRestriction", "--service-cluster-ip-range", SERVICE_CIDR),
            *("--service-account-issuer", ISSUER, "--service-account-key-file", str(self.signing_key)),
            *("--service-account-signing-key-file", str(self.signing_key)),
            # A request is in the log before it is answered, so that a test can count it at once.
            *("--audit-policy-file", str(self.audit_policy), "--audit-log-mode", "blocking"),
            *("--audit-log-path", str(self.audit_log), "--audit-log-maxsize", "500", "--audit-log-maxbackup", "1"),
            *("--profiling=false", *more),
        ]


def write_audit_policy(path: Path) -> Path:
    path.write_text(json.dumps(AUDIT_POLICY))
    return path
