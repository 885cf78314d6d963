"""TLS, with a server on PATH that was built with it: those in wheels are not."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import glide_redis

PATIENCE = 20.0
FAILED = (redis.ConnectionError, redis.TimeoutError)
"""A known difference: GLIDE does not say why it could not connect; it may try to the end."""
ONCE = Retry(NoBackoff(), 0)


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, another one, a server's and a client's certificate of the first."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")


def _openssl(folder: Path, *args: str) -> None:
    subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Fresh certificates."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("certificates")
    for authority in ("ca", "other"):
        _openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-keyout", f"{authority}_key.pem", "-out", f"{authority}.pem",
            "-subj", f"/CN={authority}",
        )  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for owner in ("server", "client"):
        _openssl(
            folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{owner}_key.pem",
            "-out", f"{owner}.csr", "-subj", f"/CN={owner}",
        )  # fmt: skip
        _openssl(
            folder, "x509", "-req", "-in", f"{owner}.csr", "-CA", "ca.pem", "-CAkey", "ca_key.pem",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{owner}.pem",
        )  # fmt: skip
    return Certificates(folder)


def _started(certificates: Certificates, folder: Path, clients: str) -> tuple[Any, int]:
    command = shutil.which("valkey-server") or shutil.which("redis-server")
    if command is None:
        pytest.skip("there is neither valkey-server nor redis-server on PATH")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "port": "0", "tls-port": str(port), "bind": "127.0.0.1", "save": "",
        "tls-cert-file": certificates.server, "tls-key-file": certificates.server_key,
        "tls-ca-cert-file": certificates.ca, "tls-auth-clients": clients,
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    process = subprocess.Popen([command, *words], cwd=folder, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.01)
    process.kill()
    process.wait()
    return pytest.skip(f"{command} was built without TLS")


@pytest.fixture(scope="module")
def port(certificates: Certificates, tmp_path_factory: Any) -> Iterator[int]:
    """The port of a server that does not ask for a client's certificate."""
    process, port = _started(certificates, tmp_path_factory.mktemp("tls"), "no")
    yield port
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def strict_port(certificates: Certificates, tmp_path_factory: Any) -> Iterator[int]:
    """The port of a server that takes clients with a certificate only."""
    process, port = _started(certificates, tmp_path_factory.mktemp("mutual"), "yes")
    yield port
    process.terminate()
    process.wait()


@pytest.fixture(params=["multiplexed", "connection"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options by which commands take the fast path, or a connection of their own."""
    return {"single_connection_client": request.param == "connection"}


def check(client: Any) -> None:
    """Use the client in every way that opens a connection of another kind."""
    assert client.set("key", "value")
    assert client.get("key") == b"value"
    assert client.eval("return redis.call('GET', KEYS[1])", 1, "key") == b"value"
    with client.pipeline() as pipe:
        pipe.watch("key")
        pipe.multi()
        pipe.get("key")
        assert pipe.execute() == [b"value"]
    with client.pubsub() as pubsub:
        pubsub.subscribe("channel")
        assert pubsub.get_message(timeout=PATIENCE)["type"] == "subscribe"
    client.close()


def test_a_trusted_authority(
    port: int, certificates: Certificates, way: Any, protocol: int
) -> None:
    for given in (
        {"ssl_ca_certs": certificates.ca},
        {"ssl_ca_data": Path(certificates.ca).read_text()},
    ):
        for host in ("127.0.0.1", "localhost"):
            check(glide_redis.Redis(host, port, ssl=True, protocol=protocol, **given, **way))
    url = f"rediss://localhost:{port}?ssl_ca_certs={certificates.ca}"
    check(glide_redis.Redis.from_url(url, protocol=protocol, **way))


def test_nothing_is_verified_if_so_asked(port: int, way: Any) -> None:
    check(
        glide_redis.Redis(
            "localhost", port, ssl=True, ssl_cert_reqs="none", ssl_check_hostname=False, **way
        )
    )


def test_an_authority_that_is_not_trusted(port: int, certificates: Certificates, way: Any) -> None:
    for given in ({"ssl_ca_certs": certificates.other}, {}):
        with pytest.raises(FAILED):
            glide_redis.Redis(
                "localhost", port, ssl=True, retry=ONCE, socket_connect_timeout=0.3, **given, **way
            ).get("key")


def test_a_certificate_of_another_host(port: int, certificates: Certificates, way: Any) -> None:
    with pytest.raises(FAILED):
        glide_redis.Redis(
            "127.0.0.2",
            port,
            ssl=True,
            ssl_ca_certs=certificates.ca,
            retry=ONCE,
            socket_connect_timeout=0.3,
            **way,
        ).get("key")


def test_the_clients_certificate(strict_port: int, certificates: Certificates, way: Any) -> None:
    check(
        glide_redis.Redis(
            "localhost",
            strict_port,
            ssl=True,
            ssl_ca_certs=certificates.ca,
            ssl_certfile=certificates.client,
            ssl_keyfile=certificates.client_key,
            **way,
        )
    )
    with pytest.raises(FAILED):
        glide_redis.Redis(
            "localhost",
            strict_port,
            ssl=True,
            ssl_ca_certs=certificates.ca,
            retry=ONCE,
            socket_connect_timeout=0.3,
            **way,
        ).get("key")


def test_no_tls_where_it_is_expected(port: int, way: Any) -> None:
    with pytest.raises(FAILED):
        glide_redis.Redis(
            "localhost", port, retry=ONCE, socket_connect_timeout=0.3, socket_timeout=1, **way
        ).get("key")


def test_files_that_are_not_there(port: int, tmp_path: Path, way: Any) -> None:
    for option in ("ssl_ca_certs", "ssl_certfile"):
        with pytest.raises((redis.ConnectionError, OSError)):
            glide_redis.Redis(
                "localhost", port, ssl=True, retry=ONCE, **{option: str(tmp_path / "none")}, **way
            ).get("key")
