"""Which MongoDB URLs the operator connects to, and which it refuses without a word on the network."""

import pytest

from pynenc_operator.backends import Backend, BackendKind, BrokerError, BrokerErrorKind
from pynenc_operator.mongoqueue import collection_prefix
from pynenc_operator.mongourl import MOST_HOSTS, checked_mongo_url, database_of, mongo_in_namespace
from tests.unit.operator.test_addresses import LOCAL


@pytest.mark.parametrize(
    "url",
    [
        "http://mongo:27017",
        "mongodb://",
        "mongodb:///pynenc",
        "mongodb://:27017",
        "mongodb://a:27017,",
        "mongodb://a:port",
        "mongodb://%2Frun%2Fmongodb.sock",
        "mongodb://mongo?tlsCAFile=/var/run/secrets/kubernetes.io/serviceaccount/token",
        "mongodb://mongo?tlsCertificateKeyFile=/etc/shadow",
        "mongodb://mongo?TLSCRLFILE=/etc/shadow",
        "mongodb://mongo?proxyHost=10.0.0.1",
        "mongodb://mongo?unheardOf=1",
        "mongodb://mongo?authMechanism=MONGODB-AWS",
        "mongodb://mongo?authMechanism=MONGODB-OIDC",
        "mongodb://mongo?AuthMechanism=mongodb-x509",
        "mongodb://mongo?authMechanism=GSSAPI",
        "mongodb://mongo?authMechanismProperties=ENVIRONMENT:k8s",
        "mongodb://mongo?timeoutMS=600000",
        "mongodb://mongo?serverMonitoringMode=stream",
        f"mongodb://{'mongo,' * MOST_HOSTS}mongo",
    ],
)
def test_what_is_not_known_is_refused_and_none_of_it_told(url: str) -> None:
    with pytest.raises(BrokerError) as refused:
        checked_mongo_url(url, allow_local=True)
    assert refused.value.kind is BrokerErrorKind.REFUSED
    for part in ("shadow", "token", "10.0.0.1", "unheard"):
        assert part not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("mongodb://a", "mongodb://a/"),
        ("mongodb://u:p%40ss@a:1,b:2/db?replicaSet=rs0", "mongodb://u:p%40ss@a:1,b:2/db?replicaSet=rs0"),
        ("mongodb+srv://u:p@mongo.example/?authSource=admin", "mongodb+srv://u:p@mongo.example/?authSource=admin"),
        ("mongodb://a/?TLS=true&socketTimeoutMS=1&w=majority&maxPoolSize=900", "mongodb://a/?TLS=true"),
        ("mongodb://a/?readPreference=secondary&appName=x", "mongodb://a/"),
        ("mongodb://a/?authMechanism=scram-sha-256", "mongodb://a/?authMechanism=scram-sha-256"),
        ("mongodb://[fd00:10:96::a]:27017/", "mongodb://[fd00:10:96::a]:27017/"),
    ],
)
def test_what_leads_to_the_server_is_kept_and_what_tunes_a_client_is_not(url: str, kept: str) -> None:
    assert checked_mongo_url(url, allow_local=False) == kept


def test_as_many_hosts_as_a_replica_set_may_have_are_let_through() -> None:
    url = f"mongodb://{'mongo,' * (MOST_HOSTS - 1)}mongo/"
    assert checked_mongo_url(url, allow_local=False) == url


@pytest.mark.parametrize("address", [*(each for each in LOCAL if "%" not in each), "localhost"])
@pytest.mark.parametrize("place", ["mongodb://{}", "mongodb://{}:1,far", "mongodb://far:1,{}/db", "mongodb+srv://{}"])
def test_each_host_of_a_url_is_looked_at(place: str, address: str) -> None:
    url = place.format(f"[{address}]" if ":" in address else address)
    with pytest.raises(BrokerError, match="loopback or link-local"):
        checked_mongo_url(url, allow_local=False)
    assert checked_mongo_url(url, allow_local=True)


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("mongodb://a", "pynenc"),
        ("mongodb://a/", "pynenc"),
        ("mongodb://a/?replicaSet=rs0", "pynenc"),
        ("mongodb://a,b/jobs?authSource=admin", "jobs"),
        ("mongodb+srv://a.example/jobs%2D1", "jobs-1"),
    ],
)
def test_the_database_is_the_urls_or_the_plugins_own(url: str, database: str) -> None:
    assert database_of(url) == database


@pytest.mark.parametrize("path", ["a/b", "a.b", "$cmd", "a%20b", "a%00", "a%2Fb"])
def test_what_can_be_no_database_is_refused(path: str) -> None:
    with pytest.raises(BrokerError, match="a database's name"):
        database_of(f"mongodb://a/{path}")


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("mongodb://mongo", "mongodb://mongo.team.svc"),
        ("mongodb://u:p@mongo:27017/db", "mongodb://u:p@mongo.team.svc:27017/db"),
        ("mongodb://a:1,b.c,localhost,[::1]:2/x", "mongodb://a.team.svc:1,b.c,localhost,[::1]:2/x"),
        ("mongodb+srv://mongo/x", "mongodb+srv://mongo/x"),
    ],
)
def test_a_bare_host_is_the_service_of_the_runners_namespace(url: str, meant: str) -> None:
    assert mongo_in_namespace(url, "team") == meant


def test_a_server_is_told_by_its_hosts_alone() -> None:
    def server(url: str) -> str:
        return Backend(BackendKind.MONGODB, url, "app").server

    assert server("mongodb://u:p@B:2,a:1/x?w=1") == server("mongodb://a:1,b:2") == "mongodb mongodb://a:1,b:2"
    assert server("mongodb://a:1,b:2") != server("mongodb://a:1,c:2")
    assert server("mongodb://a") != server("mongodb+srv://a")


@pytest.mark.parametrize("app_id", ["app", "my-app.1", "1st", "", "a" * 80])
def test_collections_of_two_apps_differ_and_are_valid_names(app_id: str) -> None:
    prefix = collection_prefix(app_id)
    assert prefix.replace("_", "").isalnum()
    assert not prefix[0].isdigit()
    assert len(prefix) <= 40
    assert collection_prefix(app_id + "x") != prefix
