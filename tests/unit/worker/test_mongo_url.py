"""A MongoDB URL that can't be used is refused in words of our own, which hold nothing of it."""

import pytest

from pynenc_worker.config import ConfigError
from pynenc_worker.mongo_url import database_of, user_and_password, without_credentials

SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "s3cret",
        "redis://user:s3cret@mongo",
        "mongodb://user:s3cret@[half",
        "mongodb://user:s3cret@",
        "mongodb://user:s3cret@mongo:s3cret",
        "mongodb://user:s3/cret@mongo",
        "mongodb://user:123/s3cret@mongo",
        "mongodb://user:s3cret@a,",
        "mongodb://user:s3cret@%2Frun%2Fmongodb.sock",
    ],
)
def test_what_is_wrong_is_told_without_a_word_of_the_url(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        without_credentials(url)
    assert SECRET not in str(refused.value)
    assert "%XX" in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None  # a traceback would show it


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("mongodb://mongo", "mongodb://mongo/"),
        ("mongodb://user:pa%40ss@a:1,b:2/db?replicaSet=rs0", "mongodb://a:1,b:2/db?replicaSet=rs0"),
        ("mongodb+srv://user:s3cret@mongo.example/?authSource=admin", "mongodb+srv://mongo.example/?authSource=admin"),
        ("mongodb://u@[::1]:27017/?AuthMechanismProperties=TOKEN:s3cret&w=1", "mongodb://[::1]:27017/?w=1"),
    ],
)
def test_a_url_without_its_credentials(url: str, public: str) -> None:
    assert without_credentials(url) == public


def test_its_parts() -> None:
    assert user_and_password("mongodb://us%3Aer:pa%2Fss@a,b/db") == ("us:er", "pa/ss")
    assert user_and_password("mongodb://a,b/db") == ("", "")
    assert database_of("mongodb://a,b/jobs?w=1") == "jobs"
    assert database_of("mongodb://a,b") == database_of("mongodb://a/?w=1") == "pynenc"
