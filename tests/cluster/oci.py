"""An image of a single static program, as a file that containerd imports: no image builder needed for it."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

_TYPE = "application/vnd.oci.image"


def write_archive(path: Path, name: str, program: Path) -> None:
    """Write an OCI archive of an image called `name` that holds and runs just `program`."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    packed = gzip.compress(layer, mtime=0)
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, media_type: str) -> dict[str, str | int]:
        blobs[f"blobs/sha256/{_digest(content).removeprefix('sha256:')}"] = content
        return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), f"{_TYPE}.config.v1+json"),
        "layers": [blob(packed, f"{_TYPE}.layer.v1.tar+gzip")],
    }
    described = blob(json.dumps(manifest).encode(), f"{_TYPE}.manifest.v1+json")
    names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
    index = {"schemaVersion": 2, "manifests": [described | {"annotations": names}]}
    version = {"imageLayoutVersion": "1.0.0"}
    files = {"oci-layout": json.dumps(version).encode(), "index.json": json.dumps(index).encode(), **blobs}
    path.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
