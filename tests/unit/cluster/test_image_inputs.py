"""When an image is built again."""

from pathlib import Path

import pytest

from tests.cluster import image_inputs, images
from tests.cluster.image_inputs import digest

DOCKERFILE = """ARG BASE_IMAGE
FROM ${BASE_IMAGE} AS build
COPY --chmod=0644 one.txt \\
    folder /src/
COPY --from=build /opt/venv /opt/venv
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "folder" / "__pycache__").mkdir(parents=True)
    (tmp_path / "folder" / "two.py").write_text("two")
    (tmp_path / "beside.txt").write_text("beside")
    return tmp_path


def of(context: Path, base: str = "base-id") -> str | None:
    return digest(context / "Dockerfile", context, base)


@pytest.mark.parametrize("file", ["one.txt", "folder/two.py", "folder/new.py", "Dockerfile"])
def test_a_changed_or_new_input_is_another_image(context: Path, file: str) -> None:
    before = of(context)
    with (context / file).open("a") as changed:
        changed.write("\n# more\n")
    assert of(context) not in (before, None)


def test_another_base_or_mode_is_another_image(context: Path) -> None:
    assert of(context) != of(context, "other-id")
    before = of(context)
    (context / "folder" / "two.py").chmod(0o755)
    assert of(context) != before


@pytest.mark.parametrize("file", ["beside.txt", "folder/__pycache__/two.pyc"])
def test_what_is_not_copied_does_not_count(context: Path, file: str) -> None:
    before = of(context)
    (context / file).write_text("changed")
    assert of(context) == before


@pytest.mark.parametrize("line", ["ADD x /", "COPY *.txt /", "RUN --mount=type=bind,source=x true", "COPY $X /"])
def test_inputs_that_are_not_understood_are_left_to_buildah(context: Path, line: str) -> None:
    with (context / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(line + "\n")
    assert of(context) is None
    assert not image_inputs.is_built("name", None, "id")


def test_the_projects_own_dockerfiles_are_understood() -> None:
    for image in (images.OPERATOR, images.WORKER, images.DEMO, images.REDIS):
        assert digest(image.dockerfile, image.context), image.name


def test_an_image_that_was_replaced_is_not_the_one_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYNENC_OPERATOR_CACHE", str(tmp_path))
    (tmp_path / "images").mkdir()
    assert not image_inputs.is_built("name", "inputs", "id")
    image_inputs.note_built("name", "inputs", "id")
    assert image_inputs.is_built("name", "inputs", "id")
    assert not image_inputs.is_built("name", "inputs", "other")
    assert not image_inputs.is_built("name", "other", "id")
