"""Keep redirects of other servers away from this machine and its network.

A server elsewhere may answer with the address of what only this machine reaches: a program on
localhost, a router, a cloud's metadata at 169.254.169.254. Whoever names such an address himself
may have it.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

import requests


class LeadsInside(requests.RequestException):
    """A server elsewhere names an address inside this machine or its network."""


class Session(requests.Session):
    """A session that raises LeadsInside instead of following such a redirect.

    The name is looked up here and again when it is connected to, so a name server that answers
    otherwise the second time is not kept from it.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return the address that an answer redirects to, or None for none."""
        target = super().get_redirect_target(resp)
        if target is None or is_inside(urlsplit(resp.url).hostname):
            return target
        host = urlsplit(urljoin(resp.url, target)).hostname
        if is_inside(host):
            raise LeadsInside(f"the server redirects to {host}, inside this machine or its network")
        return target


def is_inside(host: str | None) -> bool:
    """Whether a host's name or number is of this machine or a network of its own."""
    try:
        found = {each[4][0].partition("%")[0] for each in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # then a connection fails, or a proxy looks it up
        return False
    addresses = [ip_address(each) for each in found]
    return any(not (getattr(each, "ipv4_mapped", None) or each).is_global for each in addresses)
