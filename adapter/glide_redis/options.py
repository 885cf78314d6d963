"""From redis-py's options of a connection to GLIDE's: each is honoured, or refused by name.

Upstream: ``redis.connection`` 8.1.0, whose attributes are read here.
"""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Any

from redis._defaults import get_default_socket_keepalive_options
from redis.utils import SENTINEL

from glide_redis.native.request import Options, Tls

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class UnsupportedOption(ValueError):
    """An option of redis-py's that cannot be honoured on GLIDE."""

    def __init__(self, option: str, reason: str, instead: str) -> None:
        super().__init__(f"glide-redis cannot honour {option}: {reason}; {instead}")
        self.option = option


def of_tcp(connection: Any) -> Options:
    """Return the options for a ``redis.Connection``.

    Raises UnsupportedOption, and OSError for a host whose name is unknown.
    """
    refuse_socket_options(
        {
            "socket_type": connection.socket_type,
            "socket_keepalive": connection.socket_keepalive,
            "socket_keepalive_options": connection.socket_keepalive_options,
        }
    )
    # GLIDE waits for its whole time limit when a name is unknown; this says so at once.
    socket.getaddrinfo(connection.host, connection.port, 0, socket.SOCK_STREAM)
    return Options(addresses=((connection.host, connection.port),))


def of_unix(connection: Any) -> Options:
    """Return the options for a ``redis.UnixDomainSocketConnection``.

    Raises OSError when there is nothing at its path.
    """
    path = Path(connection.path).absolute()
    # GLIDE does not say why it cannot connect; the commonest reason can be told beforehand.
    path.stat()
    return Options(unix_socket_path=str(path))


def of_tls(connection: Any) -> Options:
    """Return the options for a ``redis.SSLConnection``.

    Raises UnsupportedOption, and OSError for a certificate that cannot be read.
    """
    refuse_tls_options(
        {
            "ssl_cert_reqs": connection.cert_reqs,
            "ssl_check_hostname": connection.check_hostname,
            "ssl_password": connection.certificate_password,
            "ssl_include_verify_flags": connection.ssl_include_verify_flags,
            "ssl_exclude_verify_flags": connection.ssl_exclude_verify_flags,
            "ssl_validate_ocsp": connection.ssl_validate_ocsp,
            "ssl_validate_ocsp_stapled": connection.ssl_validate_ocsp_stapled,
            "ssl_min_version": connection.ssl_min_version,
            "ssl_ciphers": connection.ssl_ciphers,
        }
    )
    plain = of_tcp(connection)
    unverified = connection.cert_reqs == ssl.CERT_NONE
    certificate, key = connection.certfile, connection.keyfile or connection.certfile
    return Options(
        addresses=plain.addresses,
        tls=Tls.UNVERIFIED if unverified else Tls.VERIFIED,
        root_certificates=None if unverified else _authorities(connection),
        client_certificate=Path(certificate).read_bytes() if certificate else None,
        client_key=Path(key).read_bytes() if key else None,
    )


def refuse_socket_options(given: dict[str, Any]) -> None:
    """Raise UnsupportedOption for what GLIDE does not let anybody choose about its sockets."""
    if given.get("socket_type"):
        raise UnsupportedOption(
            "socket_type", "GLIDE resolves host names by itself", "give an address as host"
        )
    if given.get("socket_keepalive") is False:
        raise UnsupportedOption(
            "socket_keepalive=False", "GLIDE always turns TCP keep-alive on", "leave it out"
        )
    chosen = given.get("socket_keepalive_options")
    if chosen and chosen is not SENTINEL and chosen != get_default_socket_keepalive_options():
        raise UnsupportedOption(
            "socket_keepalive_options",
            "GLIDE keeps the system's intervals",
            "leave it out and set net.ipv4.tcp_keepalive_* instead",
        )


def refuse_tls_options(given: dict[str, Any]) -> None:
    """Raise UnsupportedOption for TLS options of redis-py's that GLIDE has nothing for."""
    verified = given.get("ssl_cert_reqs") not in {ssl.CERT_NONE, "none"}
    if verified and given.get("ssl_check_hostname") is False:
        raise UnsupportedOption(
            "ssl_check_hostname=False",
            "GLIDE verifies the certificate with its host name or not at all",
            "use a certificate for the name you connect to, or ssl_cert_reqs='none'",
        )
    if given.get("ssl_password"):
        raise UnsupportedOption(
            "ssl_password", "GLIDE reads unencrypted keys only", "decrypt the key file"
        )
    for flags in ("ssl_include_verify_flags", "ssl_exclude_verify_flags"):
        if given.get(flags):
            raise UnsupportedOption(flags, "GLIDE verifies with rustls", "leave it out")
    for check in ("ssl_validate_ocsp", "ssl_validate_ocsp_stapled"):
        if given.get(check):
            raise UnsupportedOption(check, "GLIDE does no OCSP", "leave it out")
    if given.get("ssl_ciphers"):
        raise UnsupportedOption(
            "ssl_ciphers", "GLIDE uses rustls' cipher suites", "choose them on the server"
        )
    least = given.get("ssl_min_version")
    if least is not None and least > ssl.TLSVersion.TLSv1_2:
        raise UnsupportedOption(
            "ssl_min_version above TLS 1.2",
            "GLIDE offers TLS 1.2 and 1.3",
            "allow only the newer on the server",
        )


def _authorities(connection: Any) -> bytes | None:
    """Return the trusted certificates as PEM, None for the system's."""
    found: list[bytes] = []
    if connection.ca_certs:
        found += _PEM.findall(Path(connection.ca_certs).read_bytes())
    if connection.ca_path:
        for file in sorted(Path(connection.ca_path).iterdir()):
            if file.is_file():
                found += _PEM.findall(file.read_bytes())
    data = connection.ca_data
    if data:
        if isinstance(data, str):
            found += _PEM.findall(data.encode())
        else:
            found.append(ssl.DER_cert_to_PEM_cert(bytes(data)).encode())
    return b"\n".join(found) + b"\n" if found else None
