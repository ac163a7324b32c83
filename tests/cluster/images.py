"""The images of the demo and the e2e tests: built by buildah, loaded into the cluster or pushed to a registry."""

import re
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import base_image, buildah, image_inputs, long_command, membership, node_images
from tests.cluster.console import ClusterError, Progress, say
from tests.cluster.locks import exclusive
from tests.cluster.node import nodes_of
from tests.cluster.paths import ROOT, ClusterPaths, cache
from tests.cluster.pip_configuration import CERTIFICATES, PipConfiguration, machine_configuration

_BUILD_TIMEOUT = 1800.0
_LABEL = "pynenc-operator/image-id"  # on containerd's image: which of buildah's it was


@dataclass(frozen=True)
class Image:
    """An image of the project and what it is built from."""

    name: str
    dockerfile: Path
    context: Path
    base: str
    requirements: str = ""  # the lock file that its Dockerfile installs, where that has to be told

    @property
    def repository(self) -> str:
        """The last part of its name, without the tag."""
        return self.name.rpartition("/")[2].partition(":")[0]


OPERATOR = Image("localhost/pynenc-operator:dev", ROOT / "operator" / "Dockerfile", ROOT, base_image.NAME)
WORKER = Image("localhost/pynenc-worker:dev", ROOT / "worker-image" / "Dockerfile", ROOT, base_image.NAME)
DEMO = Image("localhost/pynenc-demo:dev", ROOT / "examples" / "Dockerfile", ROOT / "examples", WORKER.name)
_HERE = Path(__file__).resolve().parent
# The demo with another pynenc, or with another plugin, than the worker's image has.
_LOCKED = _HERE / "lockfile-image" / "Dockerfile"
NEXT = Image("localhost/pynenc-demo-next:dev", _LOCKED, ROOT, DEMO.name, "worker-next.txt")
MONGODB = Image("localhost/pynenc-demo-mongodb:dev", _LOCKED, ROOT, DEMO.name, "worker-mongodb.txt")
REDIS = Image(
    f"localhost/redis:{base_image.SUITE}", _HERE / "redis-image" / "Dockerfile", _HERE / "redis-image", base_image.NAME
)
IMAGES = (REDIS, OPERATOR, WORKER, DEMO)  # each after the one that it builds on
FOR_BACKENDS = (*IMAGES, NEXT, MONGODB)


def build(images: Iterable[Image] = IMAGES) -> dict[Image, str]:
    """Build these images, in this order, and return their ids; unchanged ones keep theirs and take a second or two."""
    with exclusive(cache() / "images" / "lock", "building images", timeout=2 * _BUILD_TIMEOUT):
        buildah.tidy()
        base_image.ensure()
        configuration = machine_configuration()
        return {image: _build(image, configuration) for image in images}


def load(paths: ClusterPaths, images: dict[Image, str]) -> None:
    """Load images into the running cluster's nodes, those that one lacks or has in another version."""
    missing: dict[Image, str] = {}
    for node in nodes_of(paths):
        present = node_images.labelled(paths, node, _LABEL)
        missing |= {image: number for image, number in images.items() if present.get(image.name) != number}
    if not missing:
        return
    names = ", ".join(image.repository for image in missing)
    progress = Progress(f"loading {names} into cluster {paths.name}")
    with tempfile.TemporaryDirectory(dir=cache() / "images", prefix="partial-") as folder:
        # One layout for all, so that the base's layers are written and read once.
        for image, number in missing.items():
            buildah.call(
                "push",
                "--disable-compression",
                number,
                f"oci:{folder}:{image.name}",
                timeout=buildah.IMAGE_STORE_TIMEOUT,
            )
        for node in nodes_of(paths):
            node_images.load_layout(paths, node, Path(folder))
            for image, number in missing.items():
                node_images.set_label(paths, node, image.name, _LABEL, number)
    progress.done()


def push(images: dict[Image, str], registry: str) -> dict[Image, str]:
    """Push images to a registry (`host/path`) and return their references; the id in the tag keeps versions apart.

    Credentials are those of `buildah login`. As docker does, it asks no certificate of a registry on loopback.
    """
    references = {image: f"{registry}/{image.repository}:dev-{number[:12]}" for image, number in images.items()}
    for image, reference in references.items():
        push_image(images[image], reference)
    return references


def push_image(number: str, reference: str) -> str:
    """Push one image by its id, as `push` does; its digest in the registry."""
    progress = Progress(f"pushing {reference}")
    verify = f"--tls-verify={'false' if is_loopback(reference) else 'true'}"
    with tempfile.NamedTemporaryFile("r") as written:
        line = ("push", verify, "--digestfile", written.name, number, f"docker://{reference}")
        try:
            buildah.call(*line, timeout=buildah.IMAGE_STORE_TIMEOUT)
        except ClusterError as error:
            raise ClusterError(f"{error}\nCan you push there? `buildah login {reference.partition('/')[0]}`") from error
        digest = written.read().strip()
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise ClusterError(f"buildah pushed {reference} and told no digest: {digest!r}")
    progress.done(digest[:19])
    return digest


def is_loopback(registry: str) -> bool:
    """Whether a registry is this machine's own, which needs no certificate."""
    host = registry.partition("/")[0].partition(":")[0]
    return host == "localhost" or host.startswith("127.")


def build_and_load(images: Iterable[Image] = IMAGES) -> None:
    """Build images, and load them if the cluster of the environment is up."""
    paths = ClusterPaths.current()
    built = build(images)
    if membership.init_pid(paths) is None:
        say(f"cluster {paths.name} is not up, so nothing is loaded: `python -m tests.cluster up`, then this again")
    else:
        load(paths, built)


def _build(image: Image, configuration: PipConfiguration | None) -> str:
    base = buildah.image_id(image.base) or ""
    inputs = image_inputs.digest(image.dockerfile, image.context, base, image.requirements)
    number = buildah.image_id(image.name)
    if number and image_inputs.is_built(image.name, inputs, number):
        say(f"{image.name} is unchanged: {number[:12]}")
        return number
    line = ["bud", "--isolation", "chroot", "--layers", "--timestamp", "0", "--build-arg", f"BASE_IMAGE={image.base}"]
    if image.requirements:
        line += ["--build-arg", f"REQUIREMENTS={image.requirements}"]
    with ExitStack() as stack:
        if configuration:
            secret = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".conf"))
            secret.write(configuration.text)
            secret.flush()
            line += ["--secret", f"id=pipconf,src={secret.name}"]
            if configuration.certificates:
                line += ["--volume", f"{configuration.certificates.resolve()}:{CERTIFICATES}:ro"]
        line += ["--tag", image.name, "--file", str(image.dockerfile), str(image.context)]
        progress = Progress(f"building {image.name}")
        done = long_command.run(buildah.line(*line), progress, _step, timeout=_BUILD_TIMEOUT)
    if done.code:
        reason = "\n".join([*done.output, *done.errors][-30:])
        raise ClusterError(f"the build of {image.name} from {image.dockerfile} failed:\n{reason}")
    number = buildah.image_id(image.name)
    if number is None:
        raise ClusterError(f"buildah built no {image.name}, and said nothing: is another one removing images?")
    image_inputs.note_built(image.name, inputs, number)
    progress.done(number[:12])
    return number


def _step(lines: list[str]) -> str:
    steps = [line for line in lines if re.match(r"(\[\d+/\d+\] )?STEP ", line)]
    return steps[-1][:100] if steps else "starting"
