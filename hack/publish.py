"""Package the chart and the images of its version, and push them to an OCI registry.

    python -m hack.publish registry.example/team    charts/pynenc-operator, pynenc-operator and pynenc-worker below it
    python -m hack.publish                          to a registry of the local cluster: `make chart` runs it there

Log in before: `buildah login registry.example` and `helm registry login registry.example`. A version that is there is
replaced. `make chart` calls the second form in the local cluster's network, where alone it works.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import yaml

from tests.cluster import buildah, images, registry
from tests.cluster.console import ClusterError, Progress, say
from tests.cluster.paths import ROOT, ClusterPaths
from tests.cluster.programs import command

CHART = ROOT / "charts" / "pynenc-operator"
DIST = ROOT / "dist"


@dataclass(frozen=True)
class Published:
    """What was pushed: `chart` for helm (oci://...), the image references by digest."""

    version: str
    chart: str
    digests: dict[images.Image, str]


def publish(target: str) -> Published:
    """Build, package and push to `target`, a registry with an optional path; ClusterError says what it lacks."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    built = images.build((images.OPERATOR, images.WORKER))
    digests = {image: push_image(built[image], f"{target}/{image.repository}", chart["appVersion"]) for image in built}
    plain = ("--plain-http",) if images.is_loopback(target) else ()
    DIST.mkdir(exist_ok=True)
    _helm("package", str(CHART), "--destination", str(DIST))
    progress = Progress(f"pushing {target}/charts/{chart['name']}:{chart['version']}")
    _helm("push", str(DIST / f"{chart['name']}-{chart['version']}.tgz"), f"oci://{target}/charts", *plain)
    progress.done()
    return Published(chart["version"], f"oci://{target}/charts/{chart['name']}", digests)


def push_image(number: str, repository: str, version: str) -> str:
    """Push one image and return its digest."""
    progress = Progress(f"pushing {repository}:{version}")
    with tempfile.NamedTemporaryFile("r") as written:
        verify = f"--tls-verify={'false' if images.is_loopback(repository) else 'true'}"
        line = ("push", verify, "--digestfile", written.name, number, f"docker://{repository}:{version}")
        buildah.call(*line, timeout=buildah.IMAGE_STORE_TIMEOUT)
        digest = written.read().strip()
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise ClusterError(f"buildah pushed {repository}:{version} and told no digest: {digest!r}")
    progress.done(digest[:19])
    return digest


def _helm(*arguments: str) -> None:
    line = [str(command("helm")), *arguments]
    try:
        done = subprocess.run(line, env=os.environ, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise ClusterError(f"helm {arguments[0]} did not end in 300 s: does the registry answer?") from None
    if done.returncode:
        raise ClusterError(f"helm {arguments[0]}: {done.stderr.strip()}")


def main() -> int:
    """Push, and say how to install from there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("registry", nargs="?", help="registry with an optional path; absent: the local cluster's own")
    target = parser.parse_args().registry
    try:
        if target is None:
            registry.ensure(ClusterPaths.current())
        found = publish(target or registry.ADDRESS)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command pushes again what is missing")
        return 130
    helm = "python -m tests.cluster helm" if target is None else "helm"
    plain = " --plain-http" if images.is_loopback(target or registry.ADDRESS) else ""
    say(f"""
{helm} install pynenc-operator {found.chart} --version {found.version}{plain} \\
    --namespace pynenc-system --create-namespace \\
    --set image.repository={target or registry.ADDRESS}/{images.OPERATOR.repository} \\
    --set image.digest={found.digests[images.OPERATOR]}
the workers' image: {target or registry.ADDRESS}/{images.WORKER.repository}@{found.digests[images.WORKER]}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
