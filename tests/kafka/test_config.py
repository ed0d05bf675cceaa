"""The `kafka` section: everything wrong with it is said at once, and nothing secret is ever printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from correlator.adapters.kafka import config as module
from correlator.adapters.kafka.admin import KafkaTopics
from correlator.adapters.kafka.config import KafkaConfig, parse_kafka
from correlator.engine.ports import LogUnavailable
from correlator.problem import BadConfiguration, Lines
from tests.broker.broker import PASSWORD, USER, Broker

LINES = Lines("correlator.yml", {("kafka",): (3, 1), ("kafka", "sasl_mechanism"): (5, 3)})


def problems(**section: object) -> list[str]:
    return [problem.message for problem in parse_kafka(section, LINES)[1]]


def test_a_missing_section_is_a_broker_on_this_machine() -> None:
    config, found = parse_kafka(None, LINES)
    assert found == []
    assert config is not None
    assert config.client()["bootstrap_servers"] == ["localhost:9092"]


def test_servers_are_a_list_or_text_with_commas() -> None:
    for servers in ("a:1, b:2", ["a:1", "b:2"]):
        config, found = parse_kafka({"bootstrap_servers": servers}, LINES)
        assert found == []
        assert config is not None
        assert config.bootstrap_servers == ("a:1", "b:2")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_missing_credentials_are_refused_by_us(mechanism: str) -> None:
    (message,) = problems(security_protocol="SASL_SSL", sasl_mechanism=mechanism)
    assert message == f"{mechanism} needs sasl_plain_username"
    (message,) = problems(
        security_protocol="SASL_SSL", sasl_mechanism=mechanism, sasl_plain_username="correlator"
    )
    assert message == f"{mechanism} needs sasl_plain_password or sasl_plain_password_file"


def test_every_problem_is_named_with_its_place() -> None:
    section = {"bootstrap_servers": "nowhere", "sasl_mechanism": "MAGIC", "sasl_passwort": "x"}
    found = parse_kafka(section, LINES)[1]
    assert [(p.line, p.field) for p in found] == [
        (3, "kafka.bootstrap_servers"),
        (5, "kafka.sasl_mechanism"),
        (3, "kafka.sasl_passwort"),
    ]
    assert found[0].message == "'nowhere' is not host:port"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (["a"], "expected fields with values"),
        ({"bootstrap_servers": 9092}, "expected host:port, or a list of them"),
        ({"client_id": 7}, "expected text"),
        ({"ssl_cafile": 7}, "expected the name of a file"),
        ({"security_protocol": "ssl"}, "must be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
    ],
)
def test_what_is_of_the_wrong_type_is_said_in_words_of_the_file(section: object, said: str) -> None:
    (problem,) = parse_kafka(section, LINES)[1]
    assert problem.message == said


def test_contradictions_are_refused() -> None:
    assert problems(security_protocol="SASL_SSL") == ["security_protocol SASL_SSL needs a sasl_mechanism"]
    (message,) = problems(sasl_mechanism="GSSAPI")
    assert message.startswith("sasl_mechanism is given")
    assert len(problems(ssl_cafile="/no/such/file")) == 1


def test_secrets_reach_the_client_and_nothing_else(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("from-a-file\n")
    scram = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "me"}
    given = KafkaConfig.model_validate(scram | {"sasl_plain_password": "given", "ssl_password": "key"})
    read = KafkaConfig.model_validate(scram | {"sasl_plain_password_file": secret})
    assert given.client()["sasl_plain_password"] == "given"
    assert given.client()["ssl_password"] == "key"
    assert read.client()["sasl_plain_password"] == "from-a-file"
    assert "sasl_plain_password_file" not in read.client()
    assert "given" not in repr(given)
    assert "key'" not in repr(given)


def test_without_the_native_checksum_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(BadConfiguration, match="kafka-python\\[crc32c\\]"):
        KafkaConfig().client()


@pytest.fixture
def secure(broker: Broker) -> dict[str, object]:
    return {
        "bootstrap_servers": broker.secure,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(broker.certificates.authority),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": USER,
        "sasl_plain_password": PASSWORD,
    }


def test_tls_and_scram_reach_the_broker(secure: dict[str, object]) -> None:
    topics = KafkaTopics(KafkaConfig.model_validate(secure))
    assert topics.create([]) == []
    topics.close()


def test_an_unknown_authority_is_not_trusted(
    secure: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("correlator.adapters.kafka.admin.TIMEOUT_MS", 1_500)
    del secure["ssl_cafile"]
    with pytest.raises(LogUnavailable):
        KafkaTopics(KafkaConfig.model_validate(secure))


def test_files_are_relative_to_the_directory_and_one_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    config, found = parse_kafka({"security_protocol": "SSL", "ssl_cafile": "ca.pem"}, LINES, tmp_path)
    assert config is not None
    assert (config.ssl_cafile, found) == (tmp_path / "ca.pem", [])
    section = {"security_protocol": "SSL", "ssl_cafile": "ca.pem", "ssl_keyfile": "key.pem"}
    (problem,) = parse_kafka(section, LINES, tmp_path)[1]
    assert problem.message == f"there is no file {tmp_path / 'key.pem'}"


def test_a_name_that_the_client_does_not_have_names_the_nearest() -> None:
    assert problems(bootstrap_server="a:1") == [
        "unknown key 'bootstrap_server' (did you mean 'bootstrap_servers'?)"
    ]
