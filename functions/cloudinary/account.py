"""The account at Cloudinary, and the URLs from which it delivers.

https://cloudinary.com/documentation/advanced_url_delivery_options has the parts of a URL and the signature in it.
"""

import base64
import re
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr

from functions.cloudinary.answers import MediaReply
from functions.cloudinary.uploads import Signer
from functions.cloudinary.values import escaped
from integrations import Http, Setup
from integrations.errors import UpstreamDenied

SHARED = "res.cloudinary.com"


class CloudinaryParams(Setup):
    """How an account delivers and signs, in the words of the vendor's packages."""

    secure: Literal[True] = Field(default=True, description="Has no effect: URLs are https.")
    sign_url: bool = Field(default=False, description="Whether to sign delivery URLs.")
    long_url_signature: bool = Field(default=False, description="Whether signatures in URLs are long, by sha256.")
    signature_algorithm: Literal["sha1", "sha256"] = Field("sha1", description="How the account signs.")
    force_version: bool = Field(default=True, description="Whether a URL with a folder gets v1 without a version.")
    private_cdn: bool = Field(default=False, description="Whether media are at CLOUD_NAME-res.cloudinary.com.")
    secure_distribution: str | None = Field(
        None, description="The host of one's own from which media are delivered.", pattern=r"^[A-Za-z0-9.-]{4,253}$"
    )
    upload_prefix: Literal[
        "https://api.cloudinary.com", "https://api-eu.cloudinary.com", "https://api-ap.cloudinary.com"
    ] = Field("https://api.cloudinary.com", description="The region of the account, by the address of its API.")


class CloudinarySetup(Setup):
    """The product environment, and its key."""

    cloud_name: str = Field(
        description="The name of the product environment, from the Cloudinary console.",
        pattern=r"^[A-Za-z0-9_-]{1,100}$",
        validation_alias=AliasChoices("cloud_name", "cloudinary_cloud_name"),
    )
    api_key: SecretStr = Field(
        description="The API key, from the console, Settings, API Keys.",
        min_length=1,
        validation_alias=AliasChoices("api_key", "cloudinary_api_key"),
    )
    api_secret: SecretStr = Field(
        description="The secret that belongs to the API key.",
        min_length=1,
        validation_alias=AliasChoices("api_secret", "cloudinary_api_secret"),
    )
    params: CloudinaryParams = Field(
        default_factory=CloudinaryParams, description="How the account delivers, as the vendor's packages are set up."
    )

    @property
    def signer(self) -> Signer:
        """Give what signs with the secret."""
        secrets = self.api_key.get_secret_value(), self.api_secret.get_secret_value()
        return Signer(*secrets, self.params.signature_algorithm)

    @property
    def region(self) -> str:
        """Give the name of the API's address: api, api-eu or api-ap."""
        return self.params.upload_prefix.removeprefix("https://").partition(".")[0]

    def path(self, kind: str, transformation: str, source: str, version: int | None, *, signed: bool) -> str:
        """Give the path of a delivery URL. `kind` is as in image/upload, `source` the public id with an extension."""
        name = escaped(source)
        foldered = "/" in name and not re.match(r"v[0-9]", name)
        shown = f"v{version}" if version else "v1" if foldered and self.params.force_version else ""
        signature = self._signature("/".join(filter(None, [transformation, name]))) if signed else ""
        account = "" if self._of_its_own else self.cloud_name
        return "/" + "/".join(filter(None, [account, kind, signature, transformation, shown, name]))

    @property
    def host(self) -> str:
        """Give the scheme and host of delivery URLs."""
        own = f"{self.cloud_name}-{SHARED}" if self.params.private_cdn else SHARED
        return f"https://{self.params.secure_distribution or own}"

    @property
    def _of_its_own(self) -> bool:
        return self.params.private_cdn and self.params.secure_distribution != SHARED

    def _signature(self, text: str) -> str:
        """Sign what a URL asks for. A long signature is always by sha256."""
        long = self.params.long_url_signature
        digest = self.signer.digest(text, "sha256" if long else self.params.signature_algorithm)
        return f"s--{base64.urlsafe_b64encode(digest).decode()[: 32 if long else 8]}--"

    def delivered(self, http: Http, path: str) -> MediaReply:
        """Get a file by its path. No credentials are sent. Raise the upstream errors."""
        if self.params.secure_distribution:
            place = http.at_url(self.host, "setup", "params", "secure_distribution")
        else:
            place = http.at("private" if self.params.private_cdn else "delivery")
        try:
            return place.repeating().get(path, reply=MediaReply)
        except UpstreamDenied as denied:
            denied.detail = "Cloudinary delivers this by a signed URL only, or not at all; say sign_url."
            raise
