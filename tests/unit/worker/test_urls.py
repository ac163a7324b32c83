"""A backend's URL that can't be used is refused in words of our own, which hold nothing of it."""

import pytest

from pynenc_worker.backend import without_credentials
from pynenc_worker.config import ConfigError
from pynenc_worker.redis_backend import use_credentials

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "s3cret://user@redis",
        "//user:s3cret@redis",
        "redis://user:s3cret@[half",
        "redis://user:s3cret@redis:s3cret",
        "redis://user:s3cret@redis:99999",
        "redis://user:s3/cret@redis",
        "redis://user:s3cret@/@redis",
        "redis://user:s3cret@#@redis",
        "redis://user:s3cret@redis/s3cret",
        "redis://user:s3cret@redis?db=s3cret",
        "redis://user:s3cret@redis?s3cret=s3cret",
        "redis://user:s3cret@redis?protocol=s3cret",
        "rediss://user:s3cret@redis?ssl_cert_reqs=s3cret",
        "redis://user:s3cret@redis?path=/s3cret",
        "unix:///run/s3cret",
        "redis://user:s3cret@sentinel-0,sentinel-1:26379/0",
        "redis://user:s3cret@sentinel-0:26379,sentinel-1:26379/0",
    ],
)
def test_what_is_wrong_is_told_without_a_word_of_the_url(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        use_credentials(without_credentials(url), lambda: url)
    assert SECRET not in str(refused.value)
    assert "%XX" in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None  # a traceback would show it


@pytest.mark.parametrize("name", ["password", "username"])
def test_credentials_among_the_options_are_credentials(name: str) -> None:
    assert without_credentials(f"redis://redis:6379/1?{name}=s3cret&db=2") == "redis://redis:6379/1?db=2"


def test_a_fragment_is_left_out_and_other_options_stay() -> None:
    url = "rediss://user:s3cret@redis?ssl_ca_certs=/etc/ca.crt&client_name=#s3cret"
    assert without_credentials(url) == "rediss://redis?ssl_ca_certs=%2Fetc%2Fca.crt&client_name="
