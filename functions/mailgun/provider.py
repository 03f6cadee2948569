"""Mailgun: send a message by Mailgun's servers.

The service is Mailgun's Messages API: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages.
"""

import json
import unicodedata
from email.utils import format_datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, AwareDatetime, Field, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from integrations import Arguments, Http, Output, Provider, Reply, Setup
from integrations.egress import Upload
from integrations.errors import UpstreamRejected
from integrations.files import FileInput, Files
from integrations.findings import finding, sentence
from integrations.mail import Address, Addresses, FileName, MediaType, is_domain
from integrations.media_types import of_name

MAX_RECIPIENTS = 1000  # of one message, as Mailgun has it
MAX_ATTACHED = 18_000_000  # bytes: Mailgun takes messages of 25 MB, in which files are base64

NO_SUCH_DOMAIN = 404


class MailgunSetup(Setup):
    api_key: SecretStr = Field(
        description="An API key of the account, or a sending key of the domain.", min_length=1, max_length=500
    )
    domain: str | None = Field(
        None,
        description="The domain of the account that messages are sent by, such as mg.example.com; the domain of the "
        "sender when left out.",
    )
    region: Literal["us", "eu"] = Field("us", description="Where the domain was made: us or eu.")

    @field_validator("domain")
    @classmethod
    def _domain(cls, value: str | None) -> str | None:
        if value is not None and not is_domain(value):
            raise PydanticCustomError("domain", "Not a domain, such as mg.example.com")
        return value


provider = Provider(
    name="mailgun",
    title="Mailgun",
    url="https://www.mailgun.com",
    docs="https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages",
    category="communication",
    setup=MailgunSetup,
    base_url="https://api.mailgun.net/v3",
    other_urls={"eu": "https://api.eu.mailgun.net/v3"},
    basic_auth=("api", "{api_key}"),
    attempt_timeout=25.0,  # with all attachments on their way
)


class Attachment(Arguments):
    filename: FileName = Field(description="What the file is called: a plain name, without a folder.")
    content: FileInput = Field(description="The file: base64, a data URI, or an https URL to fetch it from.")
    content_type: MediaType | None = Field(
        None, description="What the file is, such as application/pdf; by its name when left out."
    )
    inline: bool = Field(default=False, description="True for a picture that html shows as cid:FILENAME.")


Tag = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[ -~]+$")]


class SendEmailArguments(Arguments):
    to: Addresses = Field(
        description="Who gets it: ann@example.com or Ann <ann@example.com>. At most 1,000 with cc and bcc.",
        min_length=1,
    )
    from_: Address = Field(description="Who sends it, one address.", validation_alias="from")
    subject: str = Field(description="What it is about, in one line.", max_length=998)
    text: str | None = Field(
        None,
        description="The message as plain text.",
        max_length=1_000_000,
        validation_alias=AliasChoices("text", "body"),
    )
    html: str | None = Field(
        None, description="The message as HTML; text is then for those who do not show HTML.", max_length=1_000_000
    )
    template: str | None = Field(
        None, description="The name of a template stored in the account, instead of html.", min_length=1, max_length=255
    )
    template_variables: dict[str, Any] = Field({}, description="What is filled into the template, by name.")
    cc: Addresses = Field([], description="Who gets a copy that all can see.")
    bcc: Addresses = Field([], description="Who gets a copy that nobody sees.")
    reply_to: Addresses = Field([], description="Who gets the answers, instead of the sender.", max_length=10)
    recipient_variables: dict[str, dict[str, Any]] = Field(
        {},
        description="For each address in to, what %recipient.NAME% in the message stands for. Each then gets a message "
        "of their own, which shows no other recipient.",
    )
    attachments: list[Attachment] = Field([], description="Files, at most 18 MB together.", max_length=20)
    tags: list[Tag] = Field([], description="Words to count and find the message by.", max_length=10)
    tracking: bool | None = Field(
        None, description="Whether to note who opens and clicks; as set for the domain when left out."
    )
    send_at: AwareDatetime | None = Field(
        None, description="When to send it, within some days, such as 2030-01-31T09:00:00+01:00; now when left out."
    )
    test_mode: bool = Field(default=False, description="True to have Mailgun take the message and send it to nobody.")

    @field_validator("subject")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in value):
            raise PydanticCustomError("subject", "Not one line of text")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.text is None and self.html is None and self.template is None:
            raise PydanticCustomError("missing", "text, html or template is needed")
        if self.template is not None and self.html is not None:
            raise PydanticCustomError("conflict", "template is instead of html; give one of them")
        if self.template is None and self.template_variables:
            raise PydanticCustomError("missing", "template_variables are for a template; name it in template")
        if self.recipient_variables.keys() - {mailbox.address for mailbox in self.to}:
            raise PydanticCustomError("conflict", "recipient_variables has an address that is not in to")
        if len(self.to) + len(self.cc) + len(self.bcc) > MAX_RECIPIENTS:
            raise PydanticCustomError("too_long", f"At most {MAX_RECIPIENTS:,} recipients in to, cc and bcc together")
        return self


class SendEmailOutput(Output):
    success: bool = Field(description="True: Mailgun took the message. What becomes of it is in the account's events.")
    error: str | None = Field(None, description="Always null: what fails ends in an error.")
    message_id: str = Field(description="The Message-ID of the message, to find it in the account's events.")
    message: str = Field(description="What Mailgun says about it.")
    domain: str = Field(description="The domain of the account by which it is sent.")


class SendEmailReply(Reply):
    id: str
    message: str


@provider.method(read_only=False, destructive=False, idempotent=False, files=True)
def send_email(args: SendEmailArguments, http: Http, files: Files, setup: MailgunSetup) -> SendEmailOutput:
    """Send an email by Mailgun. It is sent once: after a failure whose outcome is not known, it is not sent again."""
    http = http.at("eu") if setup.region == "eu" else http
    form, uploads = _form(args), _uploads(args, files)
    for domain in _domains(args, setup):
        try:
            sent = http.post("/{}/messages", domain, form=form, files=uploads, reply=SendEmailReply)
        except UpstreamRejected as refused:
            if refused.upstream_status != NO_SUCH_DOMAIN:
                raise
        else:
            return SendEmailOutput(success=True, message_id=sent.id, message=sent.message, domain=domain)
    place: list[str | int] = ["setup", "domain"] if setup.domain else ["arguments", "from"]
    why = f"No sending domain of the account in the region {setup.region}; set domain or region in the setup"
    found = [finding(place, "domain", why)]
    raise UpstreamRejected(sentence(found), errors=found, upstream_status=NO_SUCH_DOMAIN)


def _domains(args: SendEmailArguments, setup: MailgunSetup) -> list[str]:
    """Give the domains by which to try to send: by one that the account does not have, Mailgun sends nothing.

    The original service always sent by the subdomain `email`, so its users have that one.
    """
    sender = args.from_.domain
    if setup.domain:
        return [setup.domain]
    return [sender] if sender.startswith("email.") else [sender, f"email.{sender}"]


def _form(args: SendEmailArguments) -> dict[str, Any]:
    fields = {
        "from": str(args.from_),
        "to": _written(args.to),
        "cc": _written(args.cc),
        "bcc": _written(args.bcc),
        "subject": args.subject,
        "text": args.text,
        "html": args.html,
        "template": args.template,
        "t:variables": json.dumps(args.template_variables) if args.template_variables else None,
        "recipient-variables": json.dumps(args.recipient_variables) if args.recipient_variables else None,
        "h:Reply-To": ", ".join(_written(args.reply_to)) or None,
        "o:tag": args.tags,
        "o:tracking": None if args.tracking is None else "yes" if args.tracking else "no",
        "o:deliverytime": args.send_at and format_datetime(args.send_at),
        "o:testmode": "yes" if args.test_mode else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _written(mailboxes: Addresses) -> list[str]:
    return [str(mailbox) for mailbox in mailboxes]


def _uploads(args: SendEmailArguments, files: Files) -> list[Upload]:
    uploads: list[Upload] = []
    left = MAX_ATTACHED
    for number, attachment in enumerate(args.attachments):
        file = files.read(attachment.content, "attachments", number, "content", max_bytes=left)
        left -= len(file.content)
        named = attachment.content_type or of_name(attachment.filename)
        uploads.append(
            Upload(
                "inline" if attachment.inline else "attachment",
                attachment.filename,
                file.content,
                named or file.media_type or "application/octet-stream",
            )
        )
    return uploads


handler = provider.handler
