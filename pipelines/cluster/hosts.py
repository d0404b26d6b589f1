"""``host:port`` and its parts; an IPv6 address stands in brackets."""

import ipaddress
import re

_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")
"""Underscores too: container networks name hosts with them."""


def split(address: str) -> tuple[str, int]:
    """Host, without brackets, and port of an address.

    Raises:
        ValueError: it is none; the message says why.
    """
    host, colon, digits = address.rpartition(":")
    if not colon or not digits.isascii() or not digits.isdigit():
        raise ValueError(f"'{address}' is not HOST:PORT, as in 10.0.0.1:9100 or [2001:db8::1]:9100")
    if not 1 <= int(digits) <= 65535:
        raise ValueError(f"'{address}': a port is a number from 1 to 65535")
    return check_host(host, address), int(digits)


def check_host(text: str, address: str = "") -> str:
    """``text``, without brackets, if it is an IP address or could be the name of a host.

    Raises:
        ValueError: it could not.
    """
    address = address or text
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
        if not _is_ip(text, 6):
            raise ValueError(f"'{address}': what stands in brackets is no IPv6 address")
        return text
    if _is_ip(text, 6) and address != text:
        raise ValueError(f"'{address}': an IPv6 address stands in brackets, [{text}]:PORT")
    if _is_ip(text, 6) or _is_ip(text, 4) or (_NAME.fullmatch(text) and not re.fullmatch(r"[0-9.]+", text)):
        return text
    raise ValueError(f"'{address}': '{text}' is neither an IP address nor a host name")


def join(host: str, port: int) -> str:
    """The address of ``host`` and ``port``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
