"""What an amqp:// URL means, and which are refused without a word of them."""

import pytest

from pynenc_worker.amqp_url import AmqpUrl, AmqpUrlError, parse_amqp_url


def plain(**values: object) -> AmqpUrl:
    known: dict[str, object] = {
        "host": "mq",
        "port": 5672,
        "tls": False,
        "verify": True,
        "user": "guest",
        "password": "guest",
        "vhost": "/",
    }
    return AmqpUrl(**(known | values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("amqp://mq", plain()),
        ("AMQP://MQ:5673/", plain(port=5673)),
        ("amqp://mq/%2F", plain()),
        ("amqp://mq/shop", plain(vhost="shop")),
        ("amqp://mq/a%2Fb%20c", plain(vhost="a/b c")),
        ("amqp://us%40er:p%3Aa%2Fss@mq/shop", plain(user="us@er", password="p:a/ss", vhost="shop")),
        ("amqp://user@mq", plain(user="user", password="")),
        ("amqps://mq", plain(port=5671, tls=True)),
        ("amqps://mq?verify=verify_peer", plain(port=5671, tls=True)),
        ("amqps://mq/?verify=verify_none", plain(port=5671, tls=True, verify=False)),
        ("amqp://[fd00::1]:5672", plain(host="fd00::1")),
    ],
)
def test_a_url_means(url: str, meant: AmqpUrl) -> None:
    assert parse_amqp_url(url) == meant


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://mq",
        "http://mq:15672",
        "amqp://:5672",
        "amqp:///shop",
        "amqp://mq:port",
        "amqp://mq:99999",
        "amqp://[half",
        "amqp://m q",
        "amqp://mq/a/b",
        "amqp://mq/a/../b",
        f"amqp://mq/{'x' * 256}",
        "amqp://mq#@127.0.0.1",
        "amqp://mq?heartbeat=0",
        "amqp://mq?verify=verify_none",
        "amqps://mq?verify=no",
        "amqps://mq?verify=verify_none&cacertfile=/etc/passwd",
        "amqps://mq?ssl_options={'ca_certs':'/etc/passwd'}",
        "amqps://mq?password=s3cret",
    ],
)
def test_what_is_not_known_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(AmqpUrlError) as refused:
        parse_amqp_url(url)
    assert not url or url not in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__ or not refused.value.__context__


def test_a_password_is_in_no_repr() -> None:
    assert "s3cret" not in repr(parse_amqp_url("amqp://user:s3cret@mq"))
