"""Email: send a message by a mail server of one's own.

The protocol is SMTP for submission: RFC 5321 and RFC 6409, with STARTTLS (RFC 3207), implicit TLS (RFC 8314) and AUTH
(RFC 4954). Nothing that a caller sends becomes part of a header or a command before it is known to be harmless there.
"""

import uuid
from typing import Literal, Self

from pydantic import AliasChoices, BaseModel, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from functions.email.message import Attached, Message, OneLine
from functions.email.smtp import Server
from integrations import Arguments, Output, Provider, Setup
from integrations.errors import InvalidArguments
from integrations.files import FileInput, Files
from integrations.findings import finding, sentence
from integrations.mail import Address, Addresses, FileName, MediaType
from integrations.tcp import Tcp

PORTS = (25, 465, 587, 2525)
MAX_RECIPIENTS = 50
MAX_ATTACHED = 4_000_000  # bytes; in base64 and JSON this is what one Lambda call holds


class EmailSetup(Setup):
    host: str = Field(description="The name of the mail server.", min_length=1, max_length=253)
    port: int = Field(
        587, description="Its port: 587 or 2525 for STARTTLS, 465 for TLS, 25 for a relay.", ge=1, le=65535
    )
    user: str | None = Field(None, description="Who signs in; left out where the server asks nobody to.", min_length=1)
    password: SecretStr | None = Field(None, description="The password that goes with user.", min_length=1)
    security: Literal["tls", "starttls", "none"] | None = Field(
        None,
        description="tls from the first byte, starttls after a greeting in the clear, or none. "
        "By default tls on port 465 and starttls on any other.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise PydanticCustomError("credentials", "user and password go together: give both or neither")
        if self.user is not None and self.security == "none":
            raise PydanticCustomError("credentials", "user and password are sent over tls or starttls only")
        return self

    @property
    def protection(self) -> str:
        """Give how the connection is secured."""
        return self.security or ("tls" if self.port == 465 else "starttls")


provider = Provider(
    name="email",
    title="Email",
    url="https://www.rfc-editor.org/rfc/rfc5321",
    docs="https://www.rfc-editor.org/rfc/rfc6409",
    category="communication",
    setup=EmailSetup,
    attempt_timeout=25.0,  # the whole dialogue, with the attachments on their way
    max_response_bytes=100_000,  # of all replies together
)


class Attachment(Arguments):
    filename: FileName = Field(description="What the file is called: a plain name, without a folder.", min_length=1)
    content: FileInput = Field(
        description="The file in base64 or as a data URI, or where it is: an https URL, or s3 in the bundle's bucket."
    )
    content_type: MediaType | None = Field(
        None, description="What the file is, such as application/pdf; by its name when left out."
    )


class SendArguments(Arguments):
    to: Addresses = Field(
        description="Who gets it: ann@example.com or Ann <ann@example.com>.", min_length=1, max_length=MAX_RECIPIENTS
    )
    from_: Address = Field(description="Who sends it, one address.", validation_alias="from")
    subject: OneLine = Field(description="What it is about, in one line.", max_length=998)
    text: str | None = Field(
        None,
        description="The message as plain text. Where html is left out and this has HTML's tags, it is sent as HTML.",
        max_length=1_000_000,
        validation_alias=AliasChoices("text", "body"),
    )
    html: str | None = Field(
        None, description="The message as HTML; text is then for those who do not show HTML.", max_length=1_000_000
    )
    cc: Addresses = Field([], description="Who gets a copy that all can see.", max_length=MAX_RECIPIENTS)
    bcc: Addresses = Field([], description="Who gets a copy that nobody sees.", max_length=MAX_RECIPIENTS)
    reply_to: Addresses = Field([], description="Who gets the answers, instead of the sender.", max_length=10)
    attachments: list[Attachment] = Field([], description="Files, at most 4 MB together.", max_length=20)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.text is None and self.html is None:
            raise PydanticCustomError("missing", "text or html is needed")
        if len(self.recipients) > MAX_RECIPIENTS:
            raise PydanticCustomError("too_long", f"At most {MAX_RECIPIENTS} recipients in to, cc and bcc together")
        return self

    @property
    def recipients(self) -> dict[str, list[str | int]]:
        """Give the address of everyone who gets it, each once, with its place in the arguments."""
        places: dict[str, list[str | int]] = {}
        for field, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for number, mailbox in enumerate(mailboxes):
                places.setdefault(mailbox.address, [field, number])
        return places


class Refusal(BaseModel):
    address: str = Field(description="Who does not get it.")
    code: int = Field(description="The reply code of the server: 5xx for good, 4xx for now.")
    status: str | None = Field(description="Its enhanced status (RFC 3463), such as 5.1.1 for an unknown mailbox.")


class SendOutput(Output):
    success: bool = Field(description="True: the server took the message for those in accepted.")
    message_id: str = Field(description="The Message-ID of the message, to find it again.")
    accepted: list[str] = Field(description="The addresses that the server took it for.")
    refused: list[Refusal] = Field(description="The addresses that the server did not take it for.")


@provider.method(read_only=False, destructive=False, idempotent=False, files=True)
def send(args: SendArguments, tcp: Tcp, files: Files, setup: EmailSetup) -> SendOutput:
    """Send an email. It is sent once: after a failure whose outcome is not known, it is not sent again."""
    message = Message(
        message_id=f"<{uuid.uuid4()}@{args.from_.domain}>",
        from_=args.from_,
        to=args.to,
        cc=args.cc,
        reply_to=args.reply_to,
        subject=args.subject,
        text=args.text,
        html=args.html,
        files=_read(args.attachments, files),
    )
    written = bytes(message)
    with tcp.connected(setup.host, setup.port, ports=PORTS, tls=setup.protection == "tls") as connection:
        server = Server(connection)
        server.greet()
        if setup.protection == "starttls":
            server.start_tls()
        if setup.user is not None and setup.password is not None:
            server.sign_in(setup.user, setup.password.get_secret_value())
        refused = server.deliver(args.from_.address, args.recipients, written)
    return SendOutput(
        success=True,
        message_id=message.message_id,
        accepted=[address for address in args.recipients if address not in refused],
        refused=[Refusal(address=address, code=no.code, status=no.status) for address, no in refused.items()],
    )


def _read(attachments: list[Attachment], files: Files) -> list[Attached]:
    """Read the attachments, wherever they are, as long as they are not too large together."""
    read, size = [], 0
    for number, attachment in enumerate(attachments):
        file = files.read(attachment.content, "attachments", number, "content", max_bytes=MAX_ATTACHED)
        size += len(file.content)
        if size > MAX_ATTACHED:
            too_large = f"At most {MAX_ATTACHED:,} bytes of attachments together"
            found = [finding(["arguments", "attachments"], "too_long", too_large)]
            raise InvalidArguments(sentence(found), errors=found)
        read.append(Attached(attachment.filename, attachment.content_type, file))
    return read


handler = provider.handler
