"""Cloudinary: edit media by URL, upload them, search them, delete them.

The services are the Upload API (https://cloudinary.com/documentation/image_upload_api_reference), the Search API
(https://cloudinary.com/documentation/search_api) and delivery by URL, whose transformations
https://cloudinary.com/documentation/transformation_reference lists.
"""

import base64
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from functions.cloudinary.account import CloudinarySetup
from functions.cloudinary.answers import (
    DestroyOutput,
    DestroyReply,
    EditOutput,
    SearchOutput,
    SearchReply,
    UploadOutput,
    UploadReply,
)
from functions.cloudinary.transformations import chained
from functions.cloudinary.uploads import form
from functions.cloudinary.values import refuse
from integrations import Arguments, Http, IntegrationError, Provider
from integrations.egress import Upload
from integrations.errors import UpstreamBadResponse
from integrations.files import FileInput, Files, is_url
from integrations.media_types import named

Resource = Literal["image", "video", "raw"]
Delivery = Literal["upload", "private", "authenticated"]
Known = Literal["context", "tags", "image_metadata", "image_analysis", "metadata", "quality_analysis",
                "accessibility_analysis"]  # fmt: skip


def _public_id(value: str) -> str:
    if {"", ".", ".."} & {*value.split("/")} or value != value.strip():
        raise PydanticCustomError("public_id", "Not a public id: a folder in it is empty or dots, or it ends in a gap")
    return value


PublicId = Annotated[
    str,
    Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f?&#\\%<>+]+$"),
    AfterValidator(_public_id),
]


provider = Provider(
    name="cloudinary",
    title="Cloudinary",
    url="https://cloudinary.com",
    docs="https://cloudinary.com/documentation",
    category="media",
    setup=CloudinarySetup,
    base_url="https://api.cloudinary.com/v1_1",
    other_urls={
        "api-eu": "https://api-eu.cloudinary.com/v1_1",
        "api-ap": "https://api-ap.cloudinary.com/v1_1",
        "delivery": "https://res.cloudinary.com",
        "private": "https://{cloud_name}-res.cloudinary.com",
    },
    attempt_timeout=25.0,  # an upload that Cloudinary fetches and transforms
)


class EditArguments(Arguments):
    public_id: PublicId = Field(description="The public id of the asset, with its folders and without its extension.")
    transformation: Annotated[list[dict[str, Any]], Field(max_length=50)] = Field(
        description="What to do, step by step, each an object of options by their long names: "
        '[{"width": 300, "height": 200, "crop": "fill", "gravity": "auto"}, {"effect": "sepia"}, '
        '{"overlay": {"font_family": "Arial", "font_size": 40, "text": "Hello"}, "gravity": "south"}]. '
        "Also quality, fetch_format, radius, angle, start_offset, end_offset, flags, raw_transformation and others."
    )
    return_base64: bool = Field(default=False, description="Whether to give the edited file too, up to 4 MB.")
    resource_type: Resource = Field("image", description="What the asset is; audio is video.")
    delivery_type: Delivery = Field("upload", description="How the asset is stored.")
    version: int | None = Field(None, description="The asset's version, which passes over caches.", ge=1)
    format: str | None = Field(None, description="The extension, such as webp.", pattern=r"^[a-z0-9]{1,10}$")
    sign_url: bool | None = Field(
        None, description="Whether to sign the URL, as private assets and strict accounts need it; as the setup says."
    )


class UploadArguments(Arguments):
    file: FileInput = Field(description="The file: base64, a data URI, or a public URL for Cloudinary to fetch.")
    public_id: Annotated[PublicId | None, BeforeValidator(lambda value: None if value == "" else value)] = Field(
        None, description="The public id to store it under, in place of what is there; made up when left out or empty."
    )
    resource_type: Literal["image", "video", "raw", "auto"] | None = Field(
        None, description="What the file is; audio is video, auto finds out. image when left out."
    )
    return_base64: bool = Field(default=False, description="Whether to give the stored file too, up to 4 MB.")
    upload_params: Annotated[dict[str, Any], Field(max_length=100)] | None = Field(
        None,
        description='More of the upload API: {"folder": "cats", "tags": ["a", "b"], "context": {"alt": "A cat"}, '
        '"overwrite": false, "eager": [{"width": 300, "crop": "fill"}], "type": "private"} and others.',
    )


class DestroyArguments(Arguments):
    public_id: PublicId = Field(description="The public id of the asset, with its folders.")
    resource_type: Resource = Field("image", description="What the asset is; audio is video.")
    type: Delivery = Field("upload", description="How the asset is stored.")
    invalidate: bool = Field(default=False, description="Whether to clear it from caches too.")


class SearchArguments(Arguments):
    expression: str | None = Field(
        None,
        description="What to look for: resource_type:image AND tags=cat AND uploaded_at>1d; all assets when left out.",
        min_length=1,
        max_length=5000,
    )
    sort_by: Annotated[list[dict[str, Literal["asc", "desc"]]], Field(min_length=1, max_length=10)] | None = Field(
        None, description='The order: [{"created_at": "desc"}]. The newest first when left out.'
    )
    max_results: int = Field(50, description="The most assets to give; 0 only counts them.", ge=0, le=500)
    next_cursor: str | None = Field(None, description="Where to go on, from the answer before.", max_length=2000)
    with_field: Annotated[list[Known], Field(min_length=1, max_length=7)] | None = Field(
        None, description="What else to tell about each asset."
    )
    aggregate: Annotated[list[Literal["format", "resource_type", "type"]], Field(min_length=1)] | None = Field(
        None, description="Fields by whose values to count the assets.", max_length=3
    )


@provider.method(read_only=True)
def media_edit(args: EditArguments, setup: CloudinarySetup, http: Http) -> EditOutput:
    """Give the URL of an edited asset. Crops, resizes, cuts, overlays, converts, and gives the file if asked to."""
    path = setup.path(
        f"{args.resource_type}/{args.delivery_type}",
        chained(args.transformation, "transformation"),
        args.public_id + (f".{args.format}" if args.format else ""),
        args.version,
        signed=setup.params.sign_url if args.sign_url is None else args.sign_url,
    )
    url = setup.host + path
    if not args.return_base64:
        return EditOutput(transformed_url=url)
    media = setup.delivered(http, path)
    content = base64.b64encode(media.content).decode()
    return EditOutput(transformed_url=url, base64=content, media_type=media.headers.get("content-type"))


@provider.method(read_only=False, destructive=True, idempotent=False, files=True)  # an upload is billed
def media_upload(args: UploadArguments, setup: CloudinarySetup, http: Http, files: Files) -> UploadOutput:
    """Store a file. It is sent once: after a failure look for the public id, or give one, which is then replaced."""
    params = dict(args.upload_params or {})
    resource = params.pop("resource_type", args.resource_type or "image")
    if resource not in ("image", "video", "raw", "auto") or args.resource_type not in (None, resource):
        refuse(("upload_params", "resource_type"), "Not image, video, raw or auto, or not the resource_type beside it")
    if args.public_id and params.get("public_id") is not None:
        refuse(("upload_params", "public_id"), "Is beside upload_params too; say it once")
    fields = form({**params, **({"public_id": args.public_id} if args.public_id else {})})
    uploads = []
    if is_url(args.file):
        sent = {**setup.signer.signed(fields), "file": args.file}
    else:
        file = files.read(args.file, "file")
        name, media_type = named(file)
        sent, uploads = setup.signer.signed(fields), [Upload("file", name, file.content, media_type)]
    path = "/{}/{}/upload"
    stored = _api(setup, http).post(path, setup.cloud_name, resource, form=sent, files=uploads, reply=UploadReply)
    known = stored.model_dump(exclude={"secure_url", "public_id", "api_key"}, exclude_unset=True)
    return UploadOutput(
        url=stored.secure_url,
        public_id=stored.public_id,
        base64=_stored(stored, setup, http) if args.return_base64 else None,
        meta_data=known,
    )


@provider.method(read_only=False, destructive=True, idempotent=True)
def destroy(args: DestroyArguments, setup: CloudinarySetup, http: Http) -> DestroyOutput:
    """Delete an asset and all that was made of it. There is no way back unless the account keeps backups."""
    asked = args.model_dump(exclude={"resource_type"})
    where = setup.cloud_name, args.resource_type
    reply = _authorized(setup, http).post("/{}/{}/destroy", *where, json=asked, reply=DestroyReply)
    return DestroyOutput(result=reply.result, deleted=reply.result == "ok")


@provider.method(read_only=True)
def search(args: SearchArguments, setup: CloudinarySetup, http: Http) -> SearchOutput:
    """Find assets by an expression over their fields. Gives what is known of each, and how many there are."""
    asked = args.model_dump(exclude_none=True)
    api = _authorized(setup, http)
    found = api.post("/{}/resources/search", setup.cloud_name, json=asked, reply=SearchReply)
    return SearchOutput(**found.model_dump())


def _api(setup: CloudinarySetup, http: Http) -> Http:
    return http if setup.region == "api" else http.at(setup.region)


def _authorized(setup: CloudinarySetup, http: Http) -> Http:
    return _api(setup, http).with_basic(setup.api_key, setup.api_secret)


def _stored(stored: UploadReply, setup: CloudinarySetup, http: Http) -> str:
    """Give the file as it was stored, in base64. An error says that it is stored: it need not be sent again."""
    if not (stored.public_id and stored.resource_type and stored.type):
        raise UpstreamBadResponse("Cloudinary took the file and did not tell where it is.")
    extension = f".{stored.format}" if stored.format and stored.resource_type != "raw" else ""
    kind = f"{stored.resource_type}/{stored.type}"
    path = setup.path(kind, "", stored.public_id + extension, stored.version, signed=stored.type != "upload")
    try:
        return base64.b64encode(setup.delivered(http, path).content).decode()
    except IntegrationError as error:
        error.detail = f"The file is stored; only its base64 cannot be given. {error.detail}"
        raise


handler = provider.handler
