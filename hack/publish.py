"""Package the chart and the images of its version, and push them to an OCI registry; each image's SBOM goes into dist/.

    python -m hack.publish registry.example/team    charts/pynenc-operator, pynenc-operator and pynenc-worker below it
    python -m hack.publish                          to a registry of the local cluster: `make chart` runs it there

Log in before: `buildah login registry.example` and `helm registry login registry.example`. A version that is there is
replaced. `make chart` calls the second form in the local cluster's network, where alone it works.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass

import yaml

from hack import sbom
from hack.sbom import DIST
from tests.cluster import images, registry
from tests.cluster.console import ClusterError, Progress, say
from tests.cluster.paths import ROOT, ClusterPaths
from tests.cluster.programs import command

CHART = ROOT / "charts" / "pynenc-operator"


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
    digests = {
        image: images.push_image(number, f"{target}/{image.repository}:{chart['appVersion']}")
        for image, number in built.items()
    }
    for image, number in built.items():
        sbom.write(sbom.of_built(number), image.repository, chart["appVersion"], digests[image])
    plain = ("--plain-http",) if images.is_loopback(target) else ()
    _helm("package", str(CHART), "--destination", str(DIST))
    progress = Progress(f"pushing {target}/charts/{chart['name']}:{chart['version']}")
    _helm("push", str(DIST / f"{chart['name']}-{chart['version']}.tgz"), f"oci://{target}/charts", *plain)
    progress.done()
    return Published(chart["version"], f"oci://{target}/charts/{chart['name']}", digests)


def _helm(*arguments: str) -> None:
    line = [str(command("helm")), *arguments]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise ClusterError(f"helm {arguments[0]} did not end in 300 s: does the registry answer?") from None
    if done.returncode:
        raise ClusterError(f"helm {arguments[0]}: {done.stderr.strip()}")


def main() -> int:
    """Push, and say how to install from there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("registry", nargs="?", help="registry with an optional path; absent: the local cluster's own")
    given = parser.parse_args().registry
    target = given or registry.ADDRESS
    try:
        if not given:
            registry.ensure(ClusterPaths.current())
        found = publish(target)
    except ClusterError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command pushes again what is missing")
        return 130
    helm = "helm" if given else "python -m tests.cluster helm"
    plain = " --plain-http" if images.is_loopback(target) else ""
    say(f"""
{helm} install pynenc-operator {found.chart} --version {found.version}{plain} \\
    --namespace pynenc-system --create-namespace \\
    --set image.repository={target}/{images.OPERATOR.repository} \\
    --set image.digest={found.digests[images.OPERATOR]}
the workers' image: {target}/{images.WORKER.repository}@{found.digests[images.WORKER]}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
