"""The `kafka` section of correlator.yml: where the brokers are and how to reach them.

Names are those of the client. Everything is checked before a connection is made, because the client does not
(missing SCRAM credentials, for one, only show as a timeout).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from correlator.intake.document import nearest
from correlator.problem import BadConfiguration, Lines, Problem
from correlator.problem import Path as FieldPath

SECTION = "kafka"
RECONNECT_MS = 2_000  # the client's 30 s would be waited for after every outage
NOT_OF_EVERY_CLIENT = {
    *("sasl_plain_password", "sasl_plain_password_file", "ssl_password"),  # secrets, read below
    *("session_timeout_ms", "transaction_timeout_ms"),  # of group members, of transactional producers
}
FILES = ("sasl_plain_password_file", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_crlfile")
EXPECTED = {  # the validator's name of a mistake, ours of what should be there
    "model_type": "fields with values",
    "tuple_type": "host:port, or a list of them",
    "string_type": "text",
    "path_type": "the name of a file",
}
USER_AND_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class KafkaConfig(BaseModel):
    """Where the brokers are and how to reach them. Secrets never appear in its text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: tuple[str, ...] = Field(default=("localhost:9092",), min_length=1)
    client_id: str = "correlator"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "AWS_MSK_IAM"] | None = None
    sasl_plain_username: str | None = None
    sasl_plain_password: SecretStr | None = None
    sasl_plain_password_file: FilePath | None = None
    sasl_kerberos_name: str | None = None
    sasl_kerberos_service_name: str = "kafka"
    sasl_kerberos_domain_name: str | None = None
    ssl_check_hostname: bool = True
    ssl_cafile: FilePath | None = None
    ssl_certfile: FilePath | None = None
    ssl_keyfile: FilePath | None = None
    ssl_crlfile: FilePath | None = None
    ssl_password: SecretStr | None = None
    ssl_ciphers: str | None = None
    metadata_max_age_ms: int = Field(default=300_000, ge=100)  # until partitions that were added are seen
    session_timeout_ms: int = Field(default=15_000, ge=1_000)  # of the groups' members
    transaction_timeout_ms: int = Field(default=10_000, ge=1_000)

    @field_validator("bootstrap_servers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(server.strip() for server in value.split(",") if server.strip())
        return value

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for server in value:
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit():
                raise ValueError(f"{server!r} is not host:port")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wants_sasl = self.security_protocol.startswith("SASL")
        if wants_sasl and self.sasl_mechanism is None:
            raise ValueError(f"security_protocol {self.security_protocol} needs a sasl_mechanism")
        if self.sasl_mechanism and not wants_sasl:
            raise ValueError(
                "sasl_mechanism is given, but security_protocol is not SASL_PLAINTEXT or SASL_SSL"
            )
        if self.sasl_mechanism in USER_AND_PASSWORD:
            if not self.sasl_plain_username:
                raise ValueError(f"{self.sasl_mechanism} needs sasl_plain_username")
            if self.password is None:
                raise ValueError(
                    f"{self.sasl_mechanism} needs sasl_plain_password or sasl_plain_password_file"
                )
        if self.transaction_timeout_ms >= self.session_timeout_ms:
            raise ValueError(
                f"transaction_timeout_ms ({self.transaction_timeout_ms}) must be less than "
                f"session_timeout_ms ({self.session_timeout_ms}): a partition must not change hands while "
                "its old owner's transaction is open"
            )
        return self

    @property
    def password(self) -> str | None:
        """The SASL password, from its file if there is one."""
        if self.sasl_plain_password_file is not None:
            return self.sasl_plain_password_file.read_text().strip()
        return self.sasl_plain_password.get_secret_value() if self.sasl_plain_password else None

    def client(self) -> dict[str, Any]:
        """What every client takes. Raises `BadConfiguration` when the checksum library is missing."""
        require_crc32c()
        given = self.model_dump(exclude=NOT_OF_EVERY_CLIENT)
        settings = {name: str(v) if isinstance(v, Path) else v for name, v in given.items() if v is not None}
        if self.password is not None:
            settings["sasl_plain_password"] = self.password
        if self.ssl_password is not None:
            settings["ssl_password"] = self.ssl_password.get_secret_value()
        return settings | {
            "bootstrap_servers": list(self.bootstrap_servers),
            "reconnect_backoff_max_ms": RECONNECT_MS,
        }


def require_crc32c() -> None:
    """Refuse to start without the native checksum: in Python it is two thousand times slower."""
    if find_spec("crc32c") is None:
        message = "the package `crc32c` is not installed; install `kafka-python[crc32c]`"
        raise BadConfiguration([Problem("installation", 0, 0, "", message)])


def parse_kafka(
    document: object, lines: Lines, directory: Path = Path()
) -> tuple[KafkaConfig | None, list[Problem]]:
    """The `kafka` section of a parsed correlator.yml, `None` for a missing one; or every problem with it.

    Files that it names are relative to *directory*, where it stands.
    """
    if isinstance(document, dict):
        files = {name: directory / v for name, v in document.items() if name in FILES and isinstance(v, str)}
        missing = [
            lines.problem((SECTION, name), f"there is no file {path}")
            for name, path in files.items()
            if not path.is_file()
        ]
        if missing:
            return None, missing
        document = document | files
    try:
        return KafkaConfig.model_validate({} if document is None else document), []
    except ValidationError as error:
        return None, [
            lines.problem(_path(problem["loc"]), _message(problem))
            for problem in error.errors(include_url=False, include_input=False)
        ]


def _message(problem: ErrorDetails) -> str:
    """Without what was found: it may be a password."""
    if problem["type"] in EXPECTED:
        return f"expected {EXPECTED[problem['type']]}"
    if problem["type"] != "extra_forbidden":
        return problem["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    key = str(problem["loc"][-1])
    return f"unknown key {key!r}{nearest(key, KafkaConfig.model_fields)}"


def _path(location: tuple[int | str, ...]) -> FieldPath:
    return (SECTION, *location)
