"""Mail servers on loopback: aiosmtpd, which judges what a client says, and one that breaks every rule by a script.

server = mail_server(starttls=True, users={"ann": "secret"})
server.refuse["bob@example.org"] = "550 5.1.1 unknown"
...
[received] = server.received
"""

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.processes import free_port
from tests.support.upstream import LOOPBACK, server_context

if TYPE_CHECKING:
    import trustme


@dataclass(frozen=True)
class Received:
    """One message, as it came."""

    sender: str
    options: list[str]
    recipients: list[str]
    data: bytes
    encrypted: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        """The message as Python's parser reads it."""
        message = message_from_bytes(self.data, policy=default)
        assert isinstance(message, EmailMessage)
        return message

    def mailboxes(self, header: str) -> list[tuple[str, str]]:
        """The names and addresses of a header; of the newer parser 3.11 has one that parts long names with spaces."""
        found = getaddresses([message_from_bytes(self.data)[header]])
        return [(str(make_header(decode_header(name))), address) for name, address in found]

    @property
    def header_names(self) -> list[str]:
        """The names of the header lines, read without any library."""
        head = self.data.partition(b"\r\n\r\n")[0]
        lines = [line for line in head.split(b"\n") if line[:1] not in (b" ", b"\t")]
        return sorted(line.partition(b":")[0].decode("latin-1").lower() for line in lines)


@dataclass
class MailServer:
    """aiosmtpd. What it refuses is set by address, for RCPT and MAIL, or by "DATA"."""

    port: int
    users: dict[str, str] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    """Each try to sign in: the mechanism and the user."""

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user, password = data.login.decode(), data.password.decode()
        self.logins.append((mechanism, user))
        return AuthResult(success=self.users.get(user) == password, handled=False, auth_data=user)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        assert isinstance(envelope.original_content, bytes)
        self.received.append(
            Received(
                sender=str(envelope.mail_from),
                options=list(envelope.mail_options),
                recipients=[str(address) for address in envelope.rcpt_tos],
                data=envelope.original_content,
                encrypted=session.ssl is not None,
                login=session.auth_data,
            )
        )
        return "250 2.0.0 queued as 4711"


@contextlib.contextmanager
def running(
    authority: "trustme.CA", security: str, users: dict[str, str], name: str = LOOPBACK, **options: Any
) -> Iterator[MailServer]:
    """Run aiosmtpd until the block ends. `name` is the certificate's, `options` are those of aiosmtpd's SMTP class."""
    server = MailServer(free_port(), dict(users))
    if security != "none":
        options["ssl_context" if security == "tls" else "tls_context"] = server_context(authority, name)
    controller = Controller(
        server,
        hostname=LOOPBACK,
        port=server.port,
        require_starttls=security == "starttls",
        authenticator=server.authenticate,
        # To aiosmtpd only STARTTLS is TLS: behind the implicit kind it offers AUTH as in the clear, and requires none.
        auth_required=bool(users) and security == "starttls",
        auth_require_tls=security == "starttls",
        **options,
    )
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@pytest.fixture
def mail_server(
    certificate_authority: "trustme.CA", authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., MailServer]]:
    """Start mail servers that run until the test ends, and let this process reach and trust them."""
    monkeypatch.setenv("INTEGRATIONS_ALLOWED_HOSTS", LOOPBACK)
    monkeypatch.setenv("INTEGRATIONS_CA_FILE", str(authority_file))
    with contextlib.ExitStack() as stack:

        def start(security: str = "none", users: dict[str, str] | None = None, **options: Any) -> MailServer:
            return stack.enter_context(running(certificate_authority, security, users or {}, **options))

        yield start


@pytest.fixture(scope="session")
def authority_file(certificate_authority: "trustme.CA", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the authority that the servers' certificates are from."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(path)
    return path


# A server by a script.

Answer = bytes | Callable[[socket.socket], None]

POLITE: dict[str, Answer] = {
    "CONNECT": b"220 mail.test ESMTP\r\n",
    "EHLO": b"250-mail.test\r\n250 8BITMIME\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "STARTTLS": b"220 go on\r\n",
    "MAIL": b"250 OK\r\n",
    "RCPT": b"250 OK\r\n",
    "DATA": b"354 go on\r\n",
    "END": b"250 queued\r\n",
    "QUIT": b"221 bye\r\n",
}


def hang(sock: socket.socket) -> None:
    """Say nothing until the client leaves."""
    while sock.recv(65536):
        pass


def drip(sock: socket.socket) -> None:
    """Say one line for ever, a byte at a time."""
    sock.settimeout(0.05)
    while True:
        sock.sendall(b"2")
        with contextlib.suppress(TimeoutError):
            if not sock.recv(65536):
                return


def flood(sock: socket.socket) -> None:
    """Say lines without an end, as fast as they are read."""
    while True:
        sock.sendall(b"250-and more\r\n" * 1000)


def leave(sock: socket.socket) -> None:
    """Close the connection."""
    sock.shutdown(socket.SHUT_RDWR)


class ScriptedServer:
    """An SMTP server that answers each command as the script says, and politely otherwise. `END` is the message's.

    With `tls` it speaks TLS from the first byte.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, **script: Answer) -> None:
        self.script = POLITE | script
        self._tls = tls
        self.commands: list[str] = []
        self.connections = 0
        self._listener = socket.create_server((LOOPBACK, 0))
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def verbs(self) -> list[str]:
        """What was asked, in order."""
        return [command.split(" ")[0].upper() for command in self.commands]

    def __enter__(self) -> "ScriptedServer":
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for sock in (self._listener, *self._sockets):
            sock.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._sockets.append(sock)
                thread = threading.Thread(target=self._converse, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _converse(self, sock: socket.socket) -> None:
        if self._tls:
            with contextlib.suppress(OSError):
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._sockets.append(sock)
        with contextlib.suppress(OSError), sock.makefile("rb") as lines:
            self._answer(sock, "CONNECT")
            for line in lines:
                command = line.decode("latin-1").rstrip("\r\n")
                self.commands.append(command)
                verb = command.split(" ")[0].upper()
                self._answer(sock, verb)
                if verb == "DATA" and self.script["DATA"] == POLITE["DATA"]:
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    self.commands.append("END")
                    self._answer(sock, "END")

    def _answer(self, sock: socket.socket, verb: str) -> None:
        answer = self.script.get(verb, b"500 what?\r\n")
        if isinstance(answer, bytes):
            sock.sendall(answer)
        else:
            answer(sock)


# What must stay text wherever it is put: more than 60 ways to leave a header, a command or an address.

_BREAKS = ["\r\n", "\n", "\r", "\u2028", "\u2029", "\u0085", "\v", "\f", "\x1c", "\x1d", "\x1e", "\0"]
PAYLOADS = [
    *(f"a{mark}Bcc: evil@example.net" for mark in _BREAKS),
    *(f"ann@example.com{mark}Bcc: evil@example.net" for mark in _BREAKS),
    *(f"ann@example.com{mark}" for mark in _BREAKS[:6]),
    "a\r\n\r\n<b>body</b>",
    "a\r\n Bcc: evil@example.net",
    "a\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<evil@example.net>\r\nDATA\r\n",
    "\r\n.\r\nQUIT\r\n",
    "\n.\nMAIL FROM:<evil@example.net>",
    "ann@example.com\r\nRCPT TO:<evil@example.net>",
    "ann@example.com> SIZE=1\r\nRCPT TO:<evil@example.net",
    "ann@example.com>\r\nDATA\r\n",
    "=?utf-8?q?a=0d=0aBcc=3a_evil=40example.net?=",
    "=?utf-8?b?YQ0KQmNjOiBldmlsQGV4YW1wbGUubmV0?=",
    "=?utf-8?q?a?=@example.com",
    "=?utf-8?q?ann=40example.com=2c?= <evil@example.net>",
    "Ann =?utf-8?q?=0aBcc=3a?= <ann@example.com>",
    "ann@example.com, evil@example.net, ",
    "ann@example.com; evil@example.net",
    "ann@example.com evil@example.net",
    "Ann <ann@example.com>, Evil <evil@example.net>, ",
    "Ann <ann@example.com> <evil@example.net>",
    "evil@example.net <ann@example.com>",
    '"evil@example.net" <ann@example.com>',
    '"Ann\\" <evil@example.net>, \\"" <ann@example.com>',
    "Friends: ann@example.com, evil@example.net;",
    "<ann@example.com><evil@example.net>",
    "@relay.example.net:ann@example.com",
    "ann(Bcc: evil@example.net)@example.com",
    '"ann evil"@example.com',
    "ann@[127.0.0.1]",
    "ann@example.com%0d%0aBcc:evil@example.net",
    "a\tBcc: evil@example.net",
    "ann@\u202eexample.com",
    "ann\u200b@example.com",
    "ann\uff20example.com",
    "a" * 65 + "@example.com",
]

CSV = base64.b64encode(b"week,orders\n47,12\n").decode()
# How many of them each field takes, as the words that they are; what must be an address takes none.
TAKEN = {"text": len(PAYLOADS) - 2, "subject": 19, "filename": 5}
FIELDS = ["subject", "to", "cc", "from", "reply_to", "text", "filename"]
EXPECTED = ["content-transfer-encoding", "content-type", "date", "from", "message-id", "mime-version", "subject", "to"]


def poisoned(field: str, payload: str) -> dict[str, Any]:
    """Give the arguments that put the payload into this field."""
    if field == "filename":
        return {"attachments": [{"filename": payload, "content": CSV}]}
    return {field: payload if field in ("subject", "text", "from") else [payload]}


def check_intact(received: Received, field: str, payload: str) -> None:
    """Assert that the message has the headers, the recipients and the parts of one without the payload."""
    expected = set(EXPECTED) - ({"content-transfer-encoding"} if field == "filename" else set())
    assert received.header_names == sorted(expected), payload
    assert (received.sender, received.recipients) == ("ann@example.com", ["bob@example.org"]), payload
    message = received.message
    assert (message["from"], message["to"]) == ("ann@example.com", "bob@example.org")
    assert message["bcc"] is message["cc"] is None
    files = [part.get_filename() for part in message.iter_attachments()]
    assert message["subject"] == (payload if field == "subject" else "Tea")
    assert files == ([payload] if field == "filename" else [])
    body = message.get_body()
    assert body is not None
    text = payload.replace("\r\n", "\n").replace("\r", "\n") if field == "text" else "At five."
    assert lines(body.get_content()).rstrip("\n") == text.rstrip("\n")


def lines(text: str) -> str:
    """Give the text with the ends of lines that Python has; Python's parser leaves those of the wire."""
    return text.replace("\r\n", "\n")
