"""Downloads reach public addresses only: a name, or a redirect, that leads into this network is refused.

Looked at is the address that a connection is about to be made to, so neither a redirect nor a name server can lead
elsewhere. Proxies and a mirror of the hub (HF_ENDPOINT) that the environment names may stand anywhere.
"""

import ipaddress
import os
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit


class PrivateAddressError(OSError):
    """A download was led to an address that is not public."""


@contextmanager
def public_addresses_only() -> Iterator[None]:
    """Holds for this whole process, until the context ends."""
    resolve = socket.getaddrinfo
    allowed = _named_by_environment()

    def resolve_checked(host: Any, *args: Any, **options: Any) -> Any:
        found = resolve(host, *args, **options)
        name = host.decode() if isinstance(host, bytes) else host
        if name not in allowed:
            for *_, address in found:
                _check(str(name), str(address[0]))
        return found

    # The hub's own transfer program would connect by itself.
    before = os.environ.get("HF_HUB_DISABLE_XET")
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    socket.getaddrinfo = resolve_checked
    try:
        yield
    finally:
        socket.getaddrinfo = resolve
        if before is None:
            del os.environ["HF_HUB_DISABLE_XET"]
        else:
            os.environ["HF_HUB_DISABLE_XET"] = before


def _check(name: str, address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise PrivateAddressError(f"{name} is at {address}, which is not a public address")


def _named_by_environment() -> set[str | None]:
    urls = [*urllib.request.getproxies().values(), os.environ.get("HF_ENDPOINT", "")]
    return {urlsplit(url if "//" in url else f"//{url}").hostname for url in urls if url}
