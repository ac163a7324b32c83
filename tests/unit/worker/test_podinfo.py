"""The downward API's file, as the kubelet writes and replaces it."""

from pathlib import Path

import pytest

from pynenc_worker import contract
from pynenc_worker.podinfo import PodInfo, Requests, parse


def publish(folder: Path, version: str, text: str) -> None:
    """Write one version of the volume, as the kubelet does."""
    (folder / version).mkdir()
    (folder / version / "annotations").write_text(text)
    moving = folder / "..data_tmp"
    moving.symlink_to(version)
    moving.rename(folder / "..data")
    if not (folder / "annotations").is_symlink():
        (folder / "annotations").symlink_to("..data/annotations")


def test_requests_are_found_among_other_annotations() -> None:
    text = (
        'kubernetes.io/config.source="api"\n'
        f'{contract.DRAIN_REQUEST}="idle-17"\n'
        'note="two\\nlines with = and \\"quotes\\" and \\u00e9"\n'
        f'{contract.RECOVER_RUNNERS}="a b  c"'
    )
    assert parse(text) == Requests("idle-17", ("a", "b", "c"))


def test_no_request_is_no_request() -> None:
    assert parse("") == Requests()
    assert parse(f'{contract.DRAIN_REQUEST}=""') == Requests()


def test_it_is_read_only_when_the_kubelet_has_replaced_it(tmp_path: Path) -> None:
    publish(tmp_path, "..1", f'{contract.DRAIN_REQUEST}="a"')
    info = PodInfo(tmp_path)
    assert info.poll() == Requests("a")
    assert info.poll() is None
    publish(tmp_path, "..2", "")
    assert info.poll() == Requests()
    assert info.poll() is None


def test_a_value_that_cannot_be_read_is_an_error_each_time(tmp_path: Path) -> None:
    publish(tmp_path, "..1", f"{contract.DRAIN_REQUEST}=`")
    info = PodInfo(tmp_path)
    for _ in range(2):
        with pytest.raises(ValueError, match="annotations"):
            info.poll()


def test_a_missing_volume_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="data"):
        PodInfo(tmp_path).poll()
