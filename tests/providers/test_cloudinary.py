"""Cloudinary: the API judged by Cloudinary's own description of it, URLs and signatures by its own package."""

import base64
import copy
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudinary.utils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.cloudinary.provider import provider
from functions.cloudinary.transformations import NAMES
from functions.cloudinary.uploads import WRITERS
from tests.support import upstream as script
from tests.support.calls import RESERVE, Response, post
from tests.support.contract_peer import ContractPeer
from tests.support.forms import parts
from tests.support.upstream import LOOPBACK, Reply, Request, Upstream, hosts_looked_up, refused_url

JUDGE = {
    "kind": "contract",
    "name": "cloudinary/api-schema.yml",
    "fixture": "service",
    "besides": "the vendor's own package for URLs and signatures",
}

SETUP = {"cloud_name": "demo", "api_key": "123456789012345", "api_secret": "secret-of-cloudinary-0123"}
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
DATA_URI = f"data:image/gif;base64,{base64.b64encode(GIF).decode()}"
EDIT = {"public_id": "samples/cat", "transformation": [{"width": 300, "crop": "fill"}, {"effect": "sepia"}]}
STORED = {
    "asset_id": "3515c6000a548515f1134043f9785c2f",
    "public_id": "samples/dot",
    "version": 1719307544,
    "version_id": "7d2cc533bee9ff39f7da7414b61fce7e",
    "signature": "d0b1009e3271a942836c25756ce3e04d205bf754",
    "width": 1,
    "height": 1,
    "format": "gif",
    "resource_type": "image",
    "created_at": "2026-06-25T09:25:44Z",
    "tags": ["one"],
    "bytes": 43,
    "type": "upload",
    "etag": "b4491705564909da7f9eaf749dbbfbb1",
    "url": "http://res.cloudinary.com/demo/image/upload/v1719307544/samples/dot.gif",
    "secure_url": "https://res.cloudinary.com/demo/image/upload/v1719307544/samples/dot.gif",
    "api_key": "123456789012345",
}
FOUND = {
    "total_count": 2,
    "time": 12,
    "resources": [{"asset_id": "3515c6000a548515f1134043f9785c2f", "public_id": "samples/dot", "format": "gif"}],
    "next_cursor": "8c452e112d4c88ac7c9ffb3a2a41c41bef24",
}
WITHOUT_CREDENTIALS = {"media_edit"}
FIXED = frozenset({"result"})


def answered(request: Request) -> Reply:
    """Give the answer to each kind of request."""
    if request.path.endswith("/search"):
        return script.json(FOUND)
    if request.path.endswith("/destroy"):
        return script.json({"result": "ok"})
    return script.json(STORED) if request.method == "POST" else script.content(GIF, "image/gif")


EXAMPLE = answered
OF_THE_TIME = re.compile(rb'name="(?:timestamp|signature)"\r\n\r\n[0-9a-f]+')


@pytest.fixture
def service(contract_peer: Callable[..., ContractPeer], monkeypatch: pytest.MonkeyPatch) -> ContractPeer:
    # The file describes the signature in an upload's form, and lists only what is in headers as its security.
    peer = contract_peer("cloudinary/api-schema.yml", in_body=("/v1_1/{cloud_name}/{resource_type}/upload",))
    monkeypatch.setenv("CLOUDINARY_BASE_URL", peer.url)
    return peer


@pytest.fixture
def fake(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setenv("CLOUDINARY_BASE_URL", upstream.url)
    return upstream


def call(method: str, arguments: dict[str, Any], *, seconds: float = 30.0, **setup: Any) -> Response:
    return post(provider, {"setup": {**SETUP, **setup}, "arguments": arguments}, method=method, seconds=seconds)


def upload(file: str = DATA_URI, *, seconds: float = 30.0, **arguments: Any) -> Response:
    return call("media_upload", {"file": file, **arguments}, seconds=seconds)


def fields_of(request: Request) -> dict[str, str]:
    return {part.field: part.text for part in parts(request) if part.filename is None}


def edited(transformation: list[dict[str, Any]], params: dict[str, Any] | None = None, **arguments: Any) -> str:
    whole = {"public_id": "samples/cat", "transformation": transformation, **arguments}
    reply = call("media_edit", whole, params=params)
    assert reply.status == 200, reply.text
    url: str = reply.body["transformed_url"]
    return url


def by_the_package(source: str, **options: Any) -> str:
    """Give the URL that the vendor's package makes."""
    account = {"cloud_name": "demo", "api_secret": SETUP["api_secret"], "secure": True}
    url: str = cloudinary.utils.cloudinary_url(source, **account, **copy.deepcopy(options))[0]
    return url


# Editing: URLs as the vendor's package makes them.

TRANSFORMATIONS: list[list[dict[str, Any]]] = [
    [],
    [{}],
    [{"width": 300, "height": 200, "crop": "fill", "gravity": "auto"}, {"effect": "sepia"}],
    [{"overlay": {"font_family": "Arial", "font_size": 40, "text": "Hi, World/1 ü $(name) 50%~"}, "color": "#ff0000"}],
    [{"overlay": {"text": "x", "text_style": "a_style"}}, {"overlay": {"text": "plain"}}],
    [{"overlay": {"text": "x", "font_family": "Arial", "font_size": 9, "font_weight": "bold", "font_style": "normal",
                  "text_decoration": "underline", "text_align": "center", "stroke": "none", "letter_spacing": -2,
                  "line_spacing": 3, "font_antialiasing": "best", "font_hinting": "full"}}],
    [{"overlay": {"url": "https://a.example/b c.png"}}, {"flags": ["layer_apply", "relative"], "width": 0.5}],
    [{"overlay": "fetch:https://a.example/b.png"}, {"underlay": "video:fetch:https://a.example/b.mp4"}],
    [{"overlay": {"public_id": "a/b", "format": "png", "resource_type": "video", "type": "private"}}],
    [{"overlay": {"resource_type": "subtitles", "public_id": "a/b.srt", "font_family": "Arial", "font_size": 20}}],
    [{"overlay": "text:Arial_20:Hello%20you"}],
    [{"if": "initial_width > 100 && $a_b != !x!", "width": "initial_width / 2", "$foo": 10}],
    [{"variables": [["$z", 5], ["$aa", "$foo * 200"]], "width": "$aa"}],
    [{"border": {"width": 4, "color": "#abc"}, "radius": [10, "20", "width"]}, {"border": "5px_solid_red"}],
    [{"angle": ["auto_right", "hflip"], "effect": ["brightness", 50]}, {"effect": {"blur": 300}}, {"angle": 12}],
    [{"duration": "50%", "start_offset": "auto", "end_offset": 12.5}, {"offset": "2.5..8"}, {"offset": [1, "30%"]}],
    [{"start_offset": 0, "duration": "12p"}],
    [{"video_codec": {"codec": "h264", "profile": "basic", "level": "3.1", "b_frames": False}}],
    [{"fps": [24, 29.97], "keyframe_interval": 2}, {"fps": "24-30", "keyframe_interval": "0.5", "video_codec": "auto"}],
    [{"transformation": "named"}, {"transformation": ["a", "b"], "width": 3}],
    [{"transformation": [{"width": 1}, {"height": 2}, "named"], "crop": "fit"}],
    [{"size": "10x20", "background": "#fff", "dpr": "auto", "quality": "auto:best", "fetch_format": "auto"}],
    [{"opacity": 0, "zoom": 1.5, "x": -3, "y": "height - 10", "radius": "max"}],
    [{"custom_function": {"function_type": "wasm", "source": "a.wasm"}}, {"custom_function": "wasm:b"}],
    [{"custom_pre_function": {"function_type": "remote", "source": "https://f.example"}}],
    [{"raw_transformation": "c_fill,w_300/e_sepia", "width": 3}],
    [{"aspect_ratio": "16:9", "width": "auto", "page": 2, "density": 150, "delay": 200, "prefix": "p",
      "default_image": "a.png", "color_space": "srgb", "bit_rate": "250k", "audio_codec": "none",
      "audio_frequency": 44100, "streaming_profile": "hd", "video_sampling": 20}],
]  # fmt: skip


@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
@pytest.mark.parametrize("signed", [False, True])
def test_what_is_sent_to_the_cdn_is_what_the_package_sends(
    transformation: list[dict[str, Any]], *, signed: bool
) -> None:
    expected = by_the_package("samples/cat", transformation=transformation, sign_url=signed)
    assert edited(transformation, sign_url=signed) == expected


SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "width": st.integers(1, 5000) | st.floats(0.01, 0.99).map(lambda value: round(value, 2)),
        "height": st.integers(1, 5000),
        "crop": st.sampled_from(["fill", "fit", "scale"]),
        "effect": st.sampled_from(["sepia", "blur:300", ["fade", -500]]),
        "flags": st.lists(st.sampled_from(["relative", "layer_apply"]), max_size=2),
        "overlay": st.builds(
            lambda text: {"font_family": "Arial", "font_size": 10, "text": text},
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20),
        ),
        "raw_transformation": st.sampled_from(["c_fill,w_3", "e_sepia"]),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SIMPLE, max_size=4), st.booleans())
def test_random_urls_are_those_of_the_package(transformation: list[dict[str, Any]], signed: bool) -> None:  # noqa: FBT001
    expected = by_the_package("samples/cat", transformation=transformation, sign_url=signed)
    assert edited(transformation, sign_url=signed) == expected


@pytest.mark.parametrize(
    ("public_id", "arguments", "params", "options"),
    [
        ("cat", {}, {}, {}),
        ("ä b/c~d", {"sign_url": True}, {}, {"sign_url": True}),
        ("v12/cat", {}, {}, {}),
        ("a/cat", {"version": 1719307544, "format": "webp"}, {}, {"version": 1719307544, "format": "webp"}),
        ("a/cat", {}, {"force_version": False}, {"force_version": False}),
        ("a/cat", {"resource_type": "video", "delivery_type": "authenticated"}, {"sign_url": True},
         {"resource_type": "video", "type": "authenticated", "sign_url": True}),
        ("a/cat", {"sign_url": False}, {"sign_url": True}, {}),
        ("a/cat", {}, {"sign_url": True, "long_url_signature": True}, {"sign_url": True, "long_url_signature": True}),
        ("a/cat", {}, {"sign_url": True, "signature_algorithm": "sha256"},
         {"sign_url": True, "signature_algorithm": "sha256"}),
        ("a/cat", {}, {"private_cdn": True}, {"private_cdn": True}),
        ("a/cat", {}, {"secure_distribution": "media.example.com"}, {"secure_distribution": "media.example.com"}),
        ("a/cat", {}, {"secure_distribution": "media.example.com", "private_cdn": True},
         {"secure_distribution": "media.example.com", "private_cdn": True}),
        ("a/cat", {}, {"secure": True}, {}),
    ],
)  # fmt: skip
def test_every_other_part_of_a_url_is_as_in_the_package(
    public_id: str, arguments: dict[str, Any], params: dict[str, Any], options: dict[str, Any]
) -> None:
    expected = by_the_package(public_id, transformation=[{"width": 9}], **options)
    assert edited([{"width": 9}], params, public_id=public_id, **arguments) == expected


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"widht": 3}, ["widht"]),
        ({"format": "png"}, ["format"]),
        ({"width": "3/e_sepia"}, ["width"]),
        ({"width": "3,h_4"}, ["width"]),
        ({"width": True}, ["width"]),
        ({"width": [3]}, ["width"]),
        ({"crop": "fill?x"}, ["crop"]),
        ({"gravity": "a b"}, ["gravity"]),
        ({"effect": {"a": 1, "b": 2}}, ["effect"]),
        ({"raw_transformation": "../../other/image/upload"}, ["raw_transformation"]),
        ({"raw_transformation": "a//b"}, ["raw_transformation"]),
        ({"overlay": {"text": "x", "font_family": "Arial"}}, ["overlay"]),
        ({"overlay": {"font": "Arial"}}, ["overlay"]),
        ({"overlay": {"resource_type": "image"}}, ["overlay"]),
        ({"overlay": "a/../b"}, ["overlay"]),
        ({"overlay": 3}, ["overlay"]),
        ({"size": "300"}, ["size"]),
        ({"offset": "3"}, ["offset"]),
        ({"keyframe_interval": 0}, ["keyframe_interval"]),
        ({"border": {"style": "solid"}}, ["border"]),
        ({"video_codec": {"name": "h264"}}, ["video_codec"]),
        ({"custom_function": {"kind": "wasm"}}, ["custom_function"]),
        ({"variables": {"$a": 1}}, ["variables"]),
        ({"transformation": [{"nope": 1}]}, ["transformation", 0, "nope"]),
        ({"$a": "b/c"}, ["?"]),
    ],
)
def test_a_transformation_that_is_none_is_rejected_by_name(options: dict[str, Any], place: list[Any]) -> None:
    reply = call("media_edit", {"public_id": "cat", "transformation": [{"width": 1}, options]})
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments"), reply.text
    assert reply.body["errors"][0]["loc"] == ["arguments", "transformation", 1, *place]


@pytest.mark.parametrize(
    "public_id", ["a//b", "../b", "a/./b", "a?b", "a#b", "a%2Fb", "/a", "a/", " a", "a\nb", "x" * 256]
)
@pytest.mark.parametrize("method", ["media_edit", "media_upload", "destroy"])
def test_what_is_no_public_id_is_rejected(method: str, public_id: str) -> None:
    needed: dict[str, dict[str, Any]] = {
        "media_edit": {"transformation": []},
        "media_upload": {"file": DATA_URI},
        "destroy": {},
    }
    reply = call(method, {"public_id": public_id, **needed[method]})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "public_id"])


@pytest.mark.parametrize(("method", "needed"), [("media_edit", {"transformation": []}), ("destroy", {})])
def test_an_asset_has_a_public_id(method: str, needed: dict[str, Any]) -> None:
    reply = call(method, {"public_id": "", **needed})
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "public_id"])


def test_an_edited_file_comes_back(fake: Upstream) -> None:
    fake.replies(script.content(GIF, "image/gif"))
    reply = call("media_edit", {**EDIT, "return_base64": True})
    assert reply.body == {
        "transformed_url": "https://res.cloudinary.com/demo/image/upload/c_fill,w_300/e_sepia/v1/samples/cat",
        "base64": base64.b64encode(GIF).decode(),
        "media_type": "image/gif",
    }
    assert (fake.last.method, fake.last.target) == ("GET", "/demo/image/upload/c_fill,w_300/e_sepia/v1/samples/cat")
    assert not {"authorization", "cookie"} & fake.last.headers.keys()
    assert SETUP["api_secret"] not in str(fake.last)


def test_a_file_comes_back_from_a_host_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hosts_looked_up(monkeypatch)
    arguments = {**EDIT, "return_base64": True}
    for params in ({"secure_distribution": "media.example.com"}, {"secure_distribution": "localhost.localdomain"}):
        reply = call("media_edit", arguments, seconds=RESERVE + 0.7, params=params)
        denied = params["secure_distribution"].startswith("local")
        assert reply.body["code"] == "url_denied" if denied else reply.status == 502 or reply.status == 504
    assert {*asked} == {"media.example.com"}


def test_a_file_from_a_private_cdn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hosts_looked_up(monkeypatch)
    call("media_edit", {**EDIT, "return_base64": True}, seconds=RESERVE + 0.7, params={"private_cdn": True})
    assert {*asked} == {"demo-res.cloudinary.com"}


@pytest.mark.parametrize("status", [401, 404, 400])
def test_a_transformation_that_the_cdn_rejected(fake: Upstream, status: int) -> None:
    fake.replies(script.content(b"", "image/gif", status, {"x-cld-error": "Invalid width in transformation: x"}))
    reply = call("media_edit", {**EDIT, "return_base64": True})
    expected = "upstream_denied" if status == 401 else "upstream_rejected"
    assert (reply.body["code"], reply.body["upstream_status"]) == (expected, status)
    assert ("sign_url" in reply.body["detail"]) is (status == 401)
    assert "Invalid width" not in reply.text


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><html>login</html>", b"\n <html>"])
def test_malformed_file(fake: Upstream, body: bytes) -> None:
    fake.replies(
        script.content(body, "text/html"), script.content(body, "text/html"), script.content(body, "text/html")
    )
    reply = call("media_edit", {**EDIT, "return_base64": True})
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


def test_a_file_that_is_too_large(fake: Upstream) -> None:
    fake.replies(script.content(bytes(4_000_001), "image/gif"))
    assert call("media_edit", {**EDIT, "return_base64": True}).body["code"] == "response_too_large"


# Uploading.

EVERY_PARAM: dict[str, Any] = {
    "folder": "cats & dogs",
    "asset_folder": "a/b",
    "public_id_prefix": "p",
    "display_name": "A cat",
    "type": "private",
    "format": "png",
    "public_id": "dot",
    "upload_preset": "preset",
    "notification_url": "https://example.com/hook",
    "eager_notification_url": "https://example.com/eager",
    "moderation": "manual",
    "quality_override": "auto",
    "auto_transcription": {"translate": ["de"]},
    "raw_convert": "aspose",
    "ocr": "adv_ocr",
    "categorization": "google_tagging",
    "detection": "captioning",
    "background_removal": "cloudinary_ai",
    "filename_override": "cat.gif",
    "eval": "1",
    "on_success": "1",
    "proxy": "http://proxy.example:80",
    "access_mode": "public",
    "overwrite": False,
    "use_filename": True,
    "unique_filename": True,
    "invalidate": True,
    "colors": True,
    "faces": True,
    "backup": True,
    "phash": True,
    "quality_analysis": True,
    "eager_async": True,
    "media_metadata": True,
    "return_delete_token": True,
    "auto_tagging": 0.7,
    "tags": ["a", "b"],
    "allowed_formats": ["gif", "png"],
    "context": {"alt": "a=b|c", "n": 1},
    "metadata": {"id": ["x", "y"]},
    "face_coordinates": [[1, 2, 3, 4], [5, 6, 7, 8]],
    "custom_coordinates": [1, 2, 3, 4],
    "headers": {"X-Robots-Tag": "noindex"},
    "eager": [{"width": 300, "crop": "fill", "format": "jpg"}, {"effect": "sepia"}, "e_blur"],
    "transformation": [{"width": 1000, "crop": "limit"}],
    "responsive_breakpoints": [{"create_derived": True, "transformation": {"crop": "fill"}, "max_width": 500}],
    "access_control": [{"access_type": "token"}],
    "regions": {"eye": [[1, 2], [3, 4]]},
}


MORE_FLAGS = {
    "accessibility_analysis", "async", "auto_chaptering", "cinemagraph_analysis", "clear_invalid",
    "discard_original_filename", "exif", "image_metadata", "unique_display_name",
    "use_asset_folder_as_public_id_prefix", "use_filename_as_display_name", "visual_search",
}  # fmt: skip
# Each option of a transformation, with a value that the example call's first step has not.
EVERY_STEP: dict[str, Any] = {
    **dict.fromkeys(NAMES, "7"),
    "flags": "layer_apply",
    "if": "w_gt_100",
    "offset": "2.5..8",
    "raw_transformation": "e_blur",
    "size": "100x50",
    "variables": [["$z", 5]],
    "$own": 5,
}
OTHER_VALUES = {
    "media_upload.file": DATA_URI.replace("AQABA", "AgABA"),
    "media_upload.upload_params": {"folder": "cats"},
    "media_upload.resource_type": "video",
    "media_upload.upload_params.resource_type": "video",
    **{
        f"media_upload.upload_params.{name}": ({"public_id": None, "upload_params": {}}, value)
        for name, value in {**EVERY_STEP, **dict.fromkeys(MORE_FLAGS, True), **EVERY_PARAM}.items()
    },
    **{f"media_edit.transformation.0.{name}": value for name, value in EVERY_STEP.items()},
    "search.sort_by": [{"public_id": "asc"}],
}


def test_every_option_is_tried() -> None:
    assert {*EVERY_STEP} - {"$own"} == NAMES
    assert {*EVERY_PARAM, *MORE_FLAGS} == {*WRITERS, "transformation"}


def test_an_empty_public_id_is_none(service: ContractPeer) -> None:
    service.replies(script.json(STORED))
    assert upload(public_id="").status == 200
    assert "public_id" not in fields_of(service.last)


def test_what_is_said_twice_is_refused(service: ContractPeer) -> None:
    reply = upload(public_id="samples/dot", upload_params={"public_id": "dot"})
    assert reply.body["detail"] == "arguments.upload_params.public_id: Is beside upload_params too; say it once."
    assert service.requests == []


def of_the_package(params: dict[str, Any]) -> dict[str, str]:
    """Give the fields as the vendor's package makes them, but for how booleans are written."""
    made = cloudinary.utils.build_upload_params(**copy.deepcopy(params))
    written = {name: str(value).lower() if isinstance(value, bool) else value for name, value in made.items()}
    return {name: value for name, value in written.items() if value not in (None, "")}


def test_what_is_sent_with_every_param(service: ContractPeer) -> None:
    service.replies(script.json(STORED))
    before = int(time.time())
    assert upload(upload_params=EVERY_PARAM).status == 200
    [request] = service.requests
    assert (request.method, request.target) == ("POST", "/v1_1/demo/image/upload")
    assert "authorization" not in request.headers
    fields = fields_of(request)
    signature, key, timestamp = fields.pop("signature"), fields.pop("api_key"), fields.pop("timestamp")
    assert before <= int(timestamp) <= time.time()
    expected = of_the_package(EVERY_PARAM)
    expected.pop("timestamp")
    loose = {"responsive_breakpoints"}
    assert {name: text for name, text in fields.items() if name not in loose} == {
        name: text for name, text in expected.items() if name not in loose
    } | {"access_mode": "public"}
    assert json.loads(fields["responsive_breakpoints"]) == json.loads(expected["responsive_breakpoints"])
    signed = {**fields, "timestamp": timestamp}
    assert (key, signature) == (SETUP["api_key"], cloudinary.utils.api_sign_request(signed, SETUP["api_secret"]))
    [file] = [part for part in parts(request) if part.filename is not None]
    assert file == ("file", GIF, "document.gif", "image/gif")


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["folder", "display_name", "context", "tags"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30),
    ),
    st.sampled_from(["sha1", "sha256"]),
)
def test_random_signatures_are_those_of_the_package(params: dict[str, str], algorithm: str) -> None:
    from functions.cloudinary.uploads import Signer, form

    sent = Signer("key", "secret-0", algorithm).signed(form(params))
    signed = {name: text for name, text in sent.items() if name not in ("signature", "api_key")}
    assert sent["signature"] == cloudinary.utils.api_sign_request(signed, "secret-0", algorithm)


def test_what_is_sent_for_a_url(service: ContractPeer) -> None:
    service.replies(script.json(STORED))
    assert upload("https://example.com/a.gif", resource_type="auto").status == 200
    assert service.last.target == "/v1_1/demo/auto/upload"
    assert fields_of(service.last).keys() == {"file", "timestamp", "api_key", "signature"}
    assert fields_of(service.last)["file"] == "https://example.com/a.gif"


@pytest.mark.parametrize(
    ("params", "transformation"),
    [
        ({"width": 300, "crop": "limit"}, "c_limit,w_300"),
        ({"transformation": "c_limit,w_300"}, "c_limit,w_300"),
        ({"transformation": "named"}, "t_named"),
        ({"transformation": [{"width": 1}, {"height": 2}]}, "w_1/h_2"),
        ({"raw_transformation": "w_1/h_2"}, "w_1/h_2"),
    ],
)
def test_an_incoming_transformation_is_sent(fake: Upstream, params: dict[str, Any], transformation: str) -> None:
    fake.replies(script.json(STORED))
    assert upload(upload_params={**params, "resource_type": "video"}).status == 200
    assert fields_of(fake.last)["transformation"] == transformation
    assert fake.last.target == "/v1_1/demo/video/upload"


def test_what_an_upload_comes_back_with(service: ContractPeer) -> None:
    service.replies(script.json(STORED))
    reply = upload()
    gone = {"secure_url", "public_id", "api_key"}
    assert reply.body == {
        "url": STORED["secure_url"],
        "public_id": "samples/dot",
        "base64": None,
        "meta_data": {name: value for name, value in STORED.items() if name not in gone},
    }


def test_an_upload_that_goes_on_comes_back_without_a_url(service: ContractPeer) -> None:
    pending = {"status": "pending", "resource_type": "image", "type": "upload", "batch_id": "4e2c"}
    service.replies(script.json(pending))
    reply = upload(upload_params={"async": True})
    assert (reply.body["url"], reply.body["public_id"], reply.body["meta_data"]) == (None, None, pending)


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        ({}, "/demo/image/upload/v1719307544/samples/dot.gif"),
        ({"resource_type": "raw", "public_id": "a/b.bin", "format": None}, "/demo/raw/upload/v1719307544/a/b.bin"),
    ],
)
def test_the_stored_file_comes_back(fake: Upstream, changes: dict[str, Any], target: str) -> None:
    fake.replies(script.json({**STORED, **changes}), script.content(GIF, "image/gif"))
    assert upload(return_base64=True).body["base64"] == base64.b64encode(GIF).decode()
    assert fake.last.target == target
    assert "authorization" not in fake.last.headers


def test_a_stored_private_file_is_asked_for_by_a_signed_url(fake: Upstream) -> None:
    fake.replies(script.json({**STORED, "type": "private"}), script.content(GIF, "image/gif"))
    assert upload(return_base64=True).status == 200
    version = STORED["version"]
    url = by_the_package("samples/dot", type="private", version=version, format="gif", sign_url=True)
    assert f"https://res.cloudinary.com{fake.last.target}" == url


def test_a_failure_after_the_upload_says_that_the_file_is_stored(fake: Upstream) -> None:
    fake.replies(script.json(STORED), script.content(b"", "image/gif", 404))
    reply = upload(return_base64=True)
    assert reply.body["detail"].startswith("The file is stored; only its base64 cannot be given.")
    assert len(fake.requests) == 2
    fake.replies(script.json({"status": "pending"}))
    assert upload(return_base64=True).body["code"] == "upstream_bad_response"


@pytest.mark.parametrize(
    "params",
    [
        {"nope": 1}, {"callback": "https://a.example"}, {"api_secret": "x"}, {"signature": "x"}, {"chunk_size": 1},
        {"overwrite": "maybe"}, {"folder": ["a"]}, {"context": {"a": {}}}, {"tags": [{}]}, {"eager": [{"nope": 1}]},
        {"width": "1/2"}, {"resource_type": "audio"}, {"auto_tagging": True}, {"face_coordinates": [[{}]]},
    ],
)  # fmt: skip
def test_a_param_that_is_none_is_rejected_by_name(fake: Upstream, params: dict[str, Any]) -> None:
    reply = upload(upload_params=params)
    assert (reply.status, reply.body["code"]) == (422, "invalid_arguments")
    assert reply.body["errors"][0]["loc"][:3] == ["arguments", "upload_params", next(iter(params))]
    assert fake.requests == []


@pytest.mark.parametrize("file", ["/etc/hosts.allow", "file:///etc/passwd", "C:\\secret.png", "data:nothing", ""])
def test_a_path_on_this_machine_is_rejected(fake: Upstream, file: str) -> None:
    reply = upload(file)
    assert (reply.status, reply.body["errors"][0]["loc"]) == (422, ["arguments", "file"])
    assert fake.requests == []


def test_a_path_that_reads_as_base64_is_base64(fake: Upstream) -> None:
    fake.replies(script.json(STORED))
    assert upload("/etc/passwd").status == 200
    assert base64.b64decode("/etc/passwd=") in fake.last.body


# Deleting and searching.


def test_what_is_sent_to_destroy_and_comes_back(service: ContractPeer) -> None:
    service.replies(script.json({"result": "ok"}), script.json({"result": "not found"}))
    arguments = {"public_id": "a/dot", "resource_type": "video", "type": "authenticated", "invalidate": True}
    assert call("destroy", arguments).body == {"result": "ok", "deleted": True}
    assert call("destroy", {"public_id": "a/dot"}).body == {"result": "not found", "deleted": False}
    first, second = service.requests
    assert first.target == "/v1_1/demo/video/destroy"
    assert first.json() == {"public_id": "a/dot", "type": "authenticated", "invalidate": True}
    assert second.target == "/v1_1/demo/image/destroy"
    assert second.json() == {"public_id": "a/dot", "type": "upload", "invalidate": False}
    basic = base64.b64encode(f"{SETUP['api_key']}:{SETUP['api_secret']}".encode()).decode()
    assert first.headers["authorization"] == f"Basic {basic}"


def test_what_is_sent_to_search_and_comes_back(service: ContractPeer) -> None:
    service.replies(script.json(FOUND), script.json({"total_count": 0, "time": 1, "resources": []}))
    asked = {
        "expression": "tags=cat AND uploaded_at>1d",
        "sort_by": [{"created_at": "desc"}, {"bytes": "asc"}],
        "max_results": 0,
        "next_cursor": "abc",
        "with_field": ["tags", "context"],
        "aggregate": ["format"],
    }
    assert call("search", {**asked, "max_results": "0"}).body == {
        "total_count": 2,
        "resources": FOUND["resources"],
        "next_cursor": FOUND["next_cursor"],
        "aggregations": None,
    }
    assert (service.last.target, service.last.json()) == ("/v1_1/demo/resources/search", asked)
    assert call("search", {}).body["resources"] == []
    assert service.last.json() == {"max_results": 50}


@pytest.mark.parametrize(
    ("prefix", "host"), [("https://api-eu.cloudinary.com", "api-eu.cloudinary.com"), (None, "api.cloudinary.com")]
)
def test_the_region_of_the_account(monkeypatch: pytest.MonkeyPatch, prefix: str | None, host: str) -> None:
    asked = hosts_looked_up(monkeypatch)
    params = {"upload_prefix": prefix} if prefix else None
    call("search", {}, seconds=RESERVE + 0.7, params=params)
    assert {*asked} == {host}


@pytest.mark.parametrize(
    "setup", [{"cloud_name": "a/b"}, {"params": {"secure": False}}, {"params": {"cname": "a.example"}},
              {"params": {"secure_distribution": "a.example/b"}}, {"params": {"upload_prefix": "https://a.example"}},
              {"api_secret": ""}],
)  # fmt: skip
def test_a_setup_that_is_none_is_rejected(fake: Upstream, setup: dict[str, Any]) -> None:
    assert call("search", {}, **setup).body["code"] == "invalid_setup"
    assert fake.requests == []


# Refusals and faults, for each request.

CALLS: dict[str, dict[str, Any]] = {
    "media_edit": {**EDIT, "return_base64": True},
    "media_upload": {"file": DATA_URI},
    "destroy": {"public_id": "a"},
    "search": {},
}
every_call = pytest.mark.parametrize("method", CALLS)
over_the_api = pytest.mark.parametrize("method", [name for name in CALLS if name != "media_edit"])
REPEATED = {"media_edit", "destroy", "search"}


@over_the_api
@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_key(service: ContractPeer, method: str, status: int) -> None:
    service.replies(script.json({"error": {"message": "unknown api_key 123"}}, status))
    reply = call(method, CALLS[method])
    assert (reply.status, reply.body["code"], reply.body["upstream_status"]) == (502, "upstream_denied", status)
    assert "unknown api_key" not in reply.text


@over_the_api
@pytest.mark.parametrize("status", [400, 404])
def test_a_rejected_request(service: ContractPeer, method: str, status: int) -> None:
    service.replies(script.json({"error": {"message": "Invalid image file"}}, status))
    reply = call(method, CALLS[method])
    assert (reply.status, reply.body["code"], reply.body["retryable"]) == (422, "upstream_rejected", False)
    assert "Invalid image" not in reply.text


@every_call
@pytest.mark.parametrize("status", [420, 429])
def test_rate_limit(fake: Upstream, method: str, status: int) -> None:
    fake.replies(script.json({"error": {"message": "Rate Limit Exceeded"}}, status, {"retry-after": "600"}))
    reply = call(method, CALLS[method])
    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "upstream_rate_limited", "600")


@every_call
def test_upstream_failure(fake: Upstream, method: str) -> None:
    fake.route(lambda _: script.json({"error": {"message": "oops"}}, 500))
    reply = call(method, CALLS[method])
    assert (reply.status, reply.body["code"]) == (502, "upstream_error")
    assert len(fake.requests) == (3 if method in REPEATED else 1)
    assert reply.body["retryable"] is (method in REPEATED)


@over_the_api
@pytest.mark.parametrize("body", [script.html(), script.half_json(STORED), script.json([]), script.json(None)])
def test_malformed_body(fake: Upstream, method: str, body: script.Message) -> None:
    fake.route(lambda _: body)
    reply = call(method, CALLS[method])
    assert (reply.status, reply.body["code"]) == (502, "upstream_bad_response")


@every_call
def test_timeout(fake: Upstream, method: str) -> None:
    fake.replies(script.hang())
    started = time.monotonic()
    reply = call(method, CALLS[method], seconds=RESERVE + 0.8)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 2


@every_call
def test_unreachable(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    with refused_url() as url:
        monkeypatch.setenv("CLOUDINARY_BASE_URL", url)
        reply = call(method, CALLS[method], seconds=RESERVE + 0.8)
    assert reply.body["code"] in ("upstream_unreachable", "deadline_exceeded")


@every_call
def test_the_event_of_each_method_works(fake: Upstream, method: str) -> None:
    fake.route(answered)
    event = json.loads(Path(f"events/cloudinary.{method}.json").read_text())
    assert provider.handler(event, None)
    assert fake.requests


def test_accounts_are_kept_apart(fake: Upstream) -> None:
    fake.route(answered)
    for name in ("one", "two"):
        call("media_upload", CALLS["media_upload"], cloud_name=name, api_key=f"key-of-{name}")
        assert (fake.last.target, fields_of(fake.last)["api_key"]) == (f"/v1_1/{name}/image/upload", f"key-of-{name}")


def test_nothing_of_a_file_leaves_when_its_url_is_fetched_by_cloudinary(fake: Upstream) -> None:
    """A URL is passed on, not fetched here: it may even be one that only Cloudinary can reach."""
    fake.replies(script.json(STORED))
    assert upload(f"http://{LOOPBACK}:1/a.gif").status == 200
    assert len(fake.requests) == 1
