"""Credentials that are looked up for each new connection."""

import pytest
import redis

from pynenc_worker.config import ConfigError
from pynenc_worker.outage import is_outage
from pynenc_worker.redis_backend import UrlCredentials


def test_they_are_those_of_the_url_as_it_is_now() -> None:
    urls = iter(["redis://user:one%40@host", "redis://:two@host", "redis://host"])
    credentials = UrlCredentials(lambda: next(urls))
    assert credentials.get_credentials() == ("user", "one@")
    assert credentials.get_credentials() == ("two",)
    assert credentials.get_credentials() == ("",)


@pytest.mark.parametrize("error", [ConfigError("the Secret is gone"), ValueError("no URL: s3cret")])
def test_a_url_that_cannot_be_read_is_an_outage_and_not_shown(error: Exception) -> None:
    def read_url() -> str:
        raise error

    with pytest.raises(redis.AuthenticationError) as caught:
        UrlCredentials(read_url).get_credentials()
    assert is_outage(caught.value)
    assert "s3cret" not in str(caught.value)
