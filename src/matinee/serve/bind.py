"""Where a server listens: a port of its own, one shared with its successor, or one that systemd holds."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import select
import socket
import struct
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass

from matinee.core.errors import InputError

# Connections that the system keeps for us before we take them; the kernel may hold this to less.
_BACKLOG = 2048

# systemd passes sockets from this descriptor on.
_FIRST_PASSED = 3

# asm-generic/socket.h; the module `socket` does not name it.
_SO_ATTACH_FILTER = 26

# Classic BPF on the TCP header: a segment whose flags are SYN alone is dropped, any other passes.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load byte 13, the flags
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)


@dataclass(frozen=True, kw_only=True)
class Listening:
    """A bound socket.

    Attributes:
        socket: the socket.
        lent: whether systemd holds it too and keeps what stands in its queue when we leave.
    """

    socket: socket.socket
    lent: bool = False

    @property
    def address(self) -> str:
        """As it stands in a browser."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def beyond_loopback(self) -> bool:
        """Whether other machines may reach it."""
        return not is_loopback(self.socket.getsockname()[0])


def bind(host: str, port: int, *, reuse_port: bool = False) -> Listening:
    """Bind a port; nobody gets through before `listen`.

    Args:
        host: a name or an address.
        port: 0: one that the system chooses.
        reuse_port: whether another server may be there, or come, with the same wish.

    Raises:
        InputError: the port is taken, not ours to take, or there is no such address.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"--port is {port}: expected 0 (one that the system chooses) to 65535.")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(
            f"--host is {host!r}: there is no such address; name one such as 127.0.0.1."
        ) from error
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(place)
    except OSError as error:
        made.close()
        raise InputError(_why_not(host, port, error)) from error
    made.setblocking(False)
    return Listening(socket=made)


def passed_by_systemd(environment: MutableMapping[str, str]) -> Listening | None:
    """The socket that systemd listens on for us (LISTEN_FDS); None where it passed none.

    Args:
        environment: of this process; what is told there is taken out, so that no child believes it.

    Raises:
        InputError: it passed several, or one that is no listening TCP socket.
    """
    count, owner = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if not count or owner != str(os.getpid()):
        return None
    if count != "1":
        raise InputError(f"systemd passed {count} sockets: expected one ListenStream= of a port.")
    try:
        passed = socket.socket(fileno=_FIRST_PASSED)
        listens = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InputError(f"The socket that systemd passed cannot be used: {error.strerror}.") from error
    if passed.family not in (socket.AF_INET, socket.AF_INET6) or not listens:
        raise InputError("systemd passed something else than a listening TCP socket: use ListenStream=8000.")
    passed.setblocking(False)
    return Listening(socket=passed, lent=True)


def inherited(descriptor: int, *, lent: bool) -> Listening:
    """The socket that another process bound and passed on."""
    made = socket.socket(fileno=descriptor)
    made.setblocking(False)
    return Listening(socket=made, lent=lent)


def listen(listening: Listening) -> None:
    """Let connections in.

    Raises:
        InputError: somebody else began to listen there since it was bound.
    """
    if listening.lent:
        return
    try:
        listening.socket.listen(_BACKLOG)
    except OSError as error:
        host, port = listening.socket.getsockname()[:2]
        raise InputError(_why_not(host, port, error)) from error


def refuse_new(listening: Listening) -> None:
    """From now on nobody begins a connection here; those who have begun still get through.

    A socket that is closed resets whoever stands in its queue. So the queue is closed at its far end first:
    their first packet is dropped, and they try again a second later, when another server is there or none.
    What a kernel cannot do is left out; what remains is a window of microseconds.
    """
    if listening.lent:
        return
    code = b"".join(struct.pack("HBBI", *step) for step in _NO_SYN)
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(_NO_SYN), ctypes.addressof(kept))
    with suppress(OSError):
        listening.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def somebody_waits(listening: Listening) -> bool:
    """Whether a connection stands in the queue."""
    ready = select.poll()
    ready.register(listening.socket.fileno(), select.POLLIN)
    return bool(ready.poll(0))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is taken by another program: end that, or name another --port (0: any)."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} is not ours to take: name a --port from 1024 on, or 0."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host is {host}: this machine has no such address; 127.0.0.1 is its own."
    return f"{host}, port {port}, cannot be listened at: {error.strerror}."
