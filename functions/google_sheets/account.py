"""The service account by which Google Sheets is asked: its key, and the tokens that Google gives for it.

A token is asked for with a JWT that the key signs (RFC 7523), as in
https://developers.google.com/identity/protocols/oauth2/service-account, and is good for an hour.
"""

import base64
import hashlib
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from integrations import Http, Reply, Setup
from integrations.errors import InvalidSetup, UpstreamDenied, UpstreamRejected
from integrations.findings import finding, sentence

AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/spreadsheets"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME = 3600  # seconds: the longest that Google grants
MARGIN = 300  # seconds before its end in which a token is not used any more
MOST = 64  # tokens that are kept: as many as there are credentials in mind

_T = TypeVar("_T")


class Key(BaseModel):
    """What is used of a key file.

    Tokens are asked for at Google's one place for it, which older files spell in other ways.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["service_account"]
    client_email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)
    private_key: str = Field(pattern=r"-----BEGIN (RSA )?PRIVATE KEY-----")
    private_key_id: str | None = None
    token_uri: Literal[
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
    ] = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address


class GoogleSheetsSetup(Setup):
    """The account that is asked as."""

    service_account_json: SecretStr = Field(
        description="The key file of a service account, as it is or in base64. Spreadsheets are shared with the "
        "account by its address, client_email.",
        min_length=1,
        max_length=20_000,
    )
    use_default_connection: bool = Field(
        default=False,
        description="True, and nothing beside it, asks for the stored default connection.",
        validation_alias=AliasChoices("use_default_connection", "use_julep_service"),
    )
    default_retry_count: int = Field(
        3, description="Has no effect: what may be sent again is, within the time of the call.", ge=1, le=10
    )

    @classmethod
    def asks_for_default(cls, given: dict[str, Any]) -> bool:
        """Say whether the bundle's own account is asked for, by a flag without a key."""
        others = {name for name, value in given.items() if value not in (None, "")} - {"default_retry_count"}
        flag = others.pop() if len(others) == 1 else ""
        return flag in ("use_default_connection", "use_julep_service") and given[flag] is True

    @field_validator("service_account_json")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        try:
            read_key(value)
        except ValueError:
            raise PydanticCustomError(
                "service_account", "Not the key file of a Google service account, as JSON or in base64"
            ) from None
        return value

    @field_validator("use_default_connection")
    @classmethod
    def _is_alone(cls, value: bool) -> bool:  # noqa: FBT001  # pydantic gives it by position
        if value:
            raise PydanticCustomError("alone", "Asks for the stored connection: leave out the key, or say false")
        return value


def read_key(secret: SecretStr) -> Key:
    """Read a key file, in base64 also without its padding. Raise ValueError for what is none."""
    text = secret.get_secret_value().strip()
    if not text.startswith("{"):
        dense = re.sub(r"\s+", "", text).rstrip("=")
        text = base64.b64decode(dense + "=" * (-len(dense) % 4), validate=True).decode()
    return Key.model_validate_json(text)


def authorized(http: Http, setup: GoogleSheetsSetup, ask: Callable[[Http], _T]) -> _T:
    """Ask Google Sheets with a token, and once more with a new one where a token that was kept is refused.

    A refusal by 401 says that nothing was done, so that holds for what writes too. Raise InvalidSetup for a key that
    does not sign, and the upstream errors.
    """
    whose = hashlib.sha256(repr((setup.service_account_json.get_secret_value(), http.base_urls)).encode()).digest()
    kept = tokens.kept(whose)
    if kept is not None:
        try:
            return _asked(http.with_bearer(kept), ask)
        except UpstreamDenied as denied:
            if denied.upstream_status != 401:
                raise
            tokens.forget(whose)
    answer = _new_token(http, setup)
    tokens.keep(whose, answer.access_token, answer.expires_in)
    return _asked(http.with_bearer(answer.access_token), ask)


def _asked(http: Http, ask: Callable[[Http], _T]) -> _T:
    try:
        return ask(http)
    except UpstreamDenied as denied:
        if denied.upstream_status == 403:
            denied.detail = (
                "Google Sheets refused the service account; share the spreadsheet with its address, client_email, "
                "and enable the Google Sheets API in its project."
            )
        raise


class TokenReply(Reply):
    """A token, and for how many seconds it is good."""

    access_token: str = Field(min_length=1)
    expires_in: float = LIFETIME


def _new_token(http: Http, setup: GoogleSheetsSetup) -> TokenReply:
    form = {"grant_type": GRANT, "assertion": _assertion(read_key(setup.service_account_json))}
    try:
        return http.at("oauth").repeating().post("/token", form=form, reply=TokenReply)
    except UpstreamRejected as refused:
        raise UpstreamDenied(
            "Google refused the key of the service account; look whether it was deleted or the account disabled.",
            upstream_status=refused.upstream_status,
        ) from None


def _assertion(key: Key) -> str:
    """Write and sign the JWT. Raise InvalidSetup where the private key is none of RSA."""
    # PyJWT and cryptography take 100 ms, which only a new token is worth.
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm

    now = int(time.time())
    claims = {"iss": key.client_email, "scope": SCOPE, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME}
    headers = {"kid": key.private_key_id} if key.private_key_id else None
    try:
        return jwt.encode(claims, key.private_key, algorithm="RS256", headers=headers)
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        found = [finding(["setup", "service_account_json"], "private_key", "Its private_key is no RSA key in PEM")]
        raise InvalidSetup(sentence(found), errors=found) from None


class _Token(NamedTuple):
    value: str
    until: float


class Tokens:
    """The tokens that are good for a while, by whose they are. `clock` gives seconds.

    The wall clock is right here: the monotonic one may stand still while Lambda keeps the environment frozen.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: OrderedDict[bytes, _Token] = OrderedDict()

    def kept(self, whose: bytes) -> str | None:
        """Give the token, if there is one that is good for some minutes more."""
        with self._lock:
            token = self._tokens.get(whose)
            return token.value if token and self._clock() < token.until else None

    def keep(self, whose: bytes, value: str, seconds: float) -> None:
        """Keep a token that is good for so many seconds."""
        with self._lock:
            self._tokens[whose] = _Token(value, self._clock() + min(seconds, LIFETIME) - MARGIN)
            self._tokens.move_to_end(whose)
            while len(self._tokens) > MOST:
                self._tokens.popitem(last=False)

    def forget(self, whose: bytes) -> None:
        """Keep the token no longer."""
        with self._lock:
            self._tokens.pop(whose, None)


tokens = Tokens()
