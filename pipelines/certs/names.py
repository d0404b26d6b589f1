"""The names in a certificate: who it is for, and at which addresses.

A party's name is compared by each party's door (`party.front`) with the one a caller gives itself, before a start by
the profile, and by people. Host names and addresses in a certificate are for people only.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from veilflow.pipelines.certs.private_files import KeyFileError
from veilflow.pipelines.cluster.hosts import check_host, split

_PARTY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def check_party(name: str) -> str:
    """``name`` itself, if a pipeline file could name a party so.

    Raises:
        KeyFileError: it could not; certificates and files are named after the party.
    """
    if not _PARTY.fullmatch(name):
        raise KeyFileError(f"'{name}' names no party: a letter, then at most 63 letters, digits and underscores.")
    return name


def host_of(address: str) -> str:
    """The host of ``host`` or ``host:port``.

    Raises:
        KeyFileError: it is neither an IP address nor a host name, with or without a port.
    """
    try:
        return split(address)[0] if re.fullmatch(r"(\[.*\]|[^:]*):\d+", address) else check_host(address)
    except ValueError as error:
        raise KeyFileError(f"{error}.") from None


def alternative_names(party: str, addresses: Iterable[str] = ()) -> list[x509.GeneralName]:
    """The party's name and every address's host, without repetition, in this order.

    Raises:
        KeyFileError: an address is neither an IP address nor a host name.
    """
    names: list[x509.GeneralName] = [x509.DNSName(party)]
    for address in addresses:
        name = _general_name(host_of(address))
        if name not in names:
            names.append(name)
    return names


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def subject(common_name: str) -> x509.Name:
    """A subject with nothing but a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def common_name(subject: x509.Name) -> str:
    """The one common name of a subject; empty where there is none, or more than one (which of them would count?)."""
    found = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def names_in(extensions: x509.Extensions) -> Sequence[x509.GeneralName]:
    """The alternative names of a certificate or request."""
    try:
        return list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def text(names: Iterable[x509.GeneralName]) -> str:
    """Names for people: ``hospital, 10.0.0.1``."""
    return ", ".join(str(name.value) for name in names) or "none"
