"""Files in calls and in answers: each form in, by size out, and what goes wrong on the way."""

import base64
import hashlib
import json
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from integrations.bucket import Bucket
from integrations.errors import IntegrationError
from tests.support import upstream as script
from tests.support.aws import BUCKET
from tests.support.calls import Response, call, post
from tests.support.fetching import provider
from tests.support.network import Network
from tests.support.upstream import Upstream, content

WORDS = "Ünïcode, and more \u0000".encode()
IMAGE = bytes(range(256)) * 4


def fetch(file: str, seconds: float = 8.0, **arguments: Any) -> Response:
    return post(provider, {"arguments": {"file": file, **arguments}}, method="fetch", seconds=seconds)


def read(file: str) -> bytes:
    reply = fetch(file)
    assert reply.status == 200, reply.text
    return str(reply.body["content"]).encode("latin-1")


def refused(file: str, **arguments: Any) -> tuple[int, str, str]:
    """Give how a file is refused: the status, the code, and the sentence. It is always told which file."""
    reply = fetch(file, **arguments)
    assert reply.body["errors"][0]["loc"] == ["arguments", "file"]
    return reply.status, reply.body["code"], reply.body["detail"]


# Files in the call.


@pytest.mark.parametrize("raw", [WORDS, IMAGE, b"\xfb\xff\xfe", b"x", b"xy"])
def test_base64_in_each_of_its_forms(raw: bytes) -> None:
    plain, url_safe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    lines = "\r\n".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    for form in (plain, url_safe, plain.rstrip("="), url_safe.rstrip("="), lines, f"\n{plain}\n"):
        assert read(form) == raw


@pytest.mark.parametrize(
    ("uri", "raw", "media_type"),
    [
        ("data:image/png;base64,iVBORw==", b"\x89PNG", "image/png"),
        ("data:;base64,iVBORw", b"\x89PNG", None),
        ("data:text/plain;charset=utf-8;base64,w7w=", "ü".encode(), "text/plain"),
        ("data:text/plain,a%20b%C3%BC", "a bü".encode(), "text/plain"),
        ("data:,", b"", None),
        ("data:image/svg+xml,<svg/>", b"<svg/>", "image/svg+xml"),
    ],
)
def test_data_uris(uri: str, raw: bytes, media_type: str | None) -> None:
    reply = fetch(uri)
    assert reply.body == {"content": raw.decode("latin-1"), "media_type": media_type, "name": None}


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("", "String should have at least 1 character"),
        ("/etc/passwd.txt", "Neither base64, nor a data URI, nor an https or s3 URL"),
        ("not base64!", "Neither base64, nor a data URI, nor an https or s3 URL"),
        ("abcde", "Neither base64, nor a data URI, nor an https or s3 URL"),
        ("data:image/png;base64,???", "Neither base64, nor a data URI, nor an https or s3 URL"),
        ("data:image/png;base64", "Not a data URI: data:TYPE/SUBTYPE;base64,..."),
        ("s3://bucket", "Not the URL of an object: s3://BUCKET/KEY"),
        ("s3://B/key", "Not the URL of an object: s3://BUCKET/KEY"),
    ],
)
def test_what_is_no_file(file: str, sentence: str) -> None:
    assert refused(file) == (422, "invalid_arguments", f"arguments.file: {sentence}.")


def test_a_file_in_the_call_that_is_too_large() -> None:
    for file in (base64.b64encode(bytes(101)).decode(), "data:," + "x" * 101):
        assert refused(file, max_bytes=100) == (422, "invalid_arguments", "arguments.file: Larger than 100 bytes.")
    assert fetch(base64.b64encode(bytes(100)).decode(), max_bytes=100).status == 200


# Files that are fetched.

URL = "https://www.example.com/folder/Ein%20Bild.png?token=1"


def test_what_is_asked_for_and_what_comes_back(network: Network) -> None:
    network.tls.replies(content(IMAGE, "image/PNG; charset=binary"))
    reply = fetch(URL)
    assert reply.body == {"content": IMAGE.decode("latin-1"), "media_type": "image/png", "name": "Ein Bild.png"}
    assert reply.headers["x-attempts"] == "1"
    [request] = network.tls.requests
    assert (request.method, request.target) == ("GET", "/folder/Ein%20Bild.png?token=1")
    assert request.headers["accept"] == "*/*"


@pytest.mark.parametrize(
    "last", ["", "..", "%2e%2e", "a%2fb", "a%5Cb", "a%0Ab", "a%00", "a%22b", "x" * 151, "a:b", "%E2%80%AEb"]
)
def test_a_name_that_could_do_harm_is_none(network: Network, last: str) -> None:
    assert fetch(f"https://www.example.com/x/{last}").body["name"] is None


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (404, "upstream_rejected", "arguments.file: the server of the URL answers 404."),
        (403, "upstream_rejected", "arguments.file: the server of the URL answers 403."),
        (401, "upstream_rejected", "arguments.file: the server of the URL answers 401."),
    ],
)
def test_a_url_without_a_file(network: Network, status: int, code: str, sentence: str) -> None:
    network.tls.replies(script.text("the server's own words", status))
    assert refused(URL) == (422, code, sentence)


def test_a_file_that_is_too_large_is_not_read_to_its_end(network: Network) -> None:
    network.tls.replies(script.endless_chunks())
    assert refused(URL, max_bytes=1000) == (422, "invalid_arguments", "arguments.file: Larger than 1,000 bytes.")


def test_a_server_that_fails_is_asked_again(network: Network) -> None:
    network.tls.replies(script.text("busy", 503), script.reset_before_reply(), content(IMAGE, "image/png"))
    reply = fetch(URL)
    assert (reply.status, reply.headers["x-attempts"]) == (200, "3")


def test_a_redirect_is_another_request_and_no_further_attempt(network: Network) -> None:
    network.tls.replies(script.text("busy", 503), script.redirect("/there"), content(IMAGE, "image/png"))
    reply = fetch(URL)
    assert (reply.status, len(network.tls.requests)) == (200, 3)
    assert reply.headers["x-attempts"] == "2"


def test_a_server_that_hangs_ends_with_the_call(network: Network) -> None:
    network.tls.route(lambda _: script.hang())
    reply = fetch(URL, seconds=2.5)
    assert (reply.status, reply.body["code"]) == (504, "upstream_timeout")
    assert (
        reply.body["detail"]
        == "arguments.file: the server of the URL did not answer in time; call again later, or ask for less."
    )


def test_no_time_to_ask(network: Network) -> None:
    reply = fetch(URL, seconds=1.8)
    assert (reply.status, reply.body["code"]) == (504, "deadline_exceeded")
    assert network.asked == []


# Objects of the bucket.


def test_an_object_of_the_bucket(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="in/ein bild+1.png", Body=IMAGE, ContentType="image/png")
    reply = fetch(f"s3://{BUCKET}/in/ein bild+1.png")
    assert reply.body == {"content": IMAGE.decode("latin-1"), "media_type": "image/png", "name": "ein bild+1.png"}


def test_an_object_of_any_other_bucket_is_refused(bucket: Any) -> None:
    bucket.put_object(Bucket="another-bucket", Key="key", Body=b"of others")
    assert refused("s3://another-bucket/key") == (
        422, "url_denied", "arguments.file: Not in the bundle's own bucket; no other one is read."
    )  # fmt: skip


def test_without_a_bucket_no_object_is_read() -> None:
    assert refused(f"s3://{BUCKET}/key") == (
        422, "url_denied", "arguments.file: No bucket is set up here; send the file itself, or an https URL."
    )  # fmt: skip


def test_an_object_that_is_not_there(bucket: Any) -> None:
    assert refused(f"s3://{BUCKET}/nothing") == (
        422,
        "invalid_arguments",
        "arguments.file: No such object in the bucket; objects are kept for a day.",
    )


def test_an_object_that_is_too_large(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="key", Body=bytes(101))
    assert refused(f"s3://{BUCKET}/key", max_bytes=100)[2] == "arguments.file: Larger than 100 bytes."
    assert fetch(f"s3://{BUCKET}/key", max_bytes=101).status == 200


@pytest.fixture
def s3(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Give an S3 that answers by a script."""
    for name, value in {
        "INTEGRATIONS_BUCKET": BUCKET,
        "AWS_ENDPOINT_URL_S3": upstream.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    return upstream


def s3_error(code: str, status: int) -> script.Message:
    return content(f"<Error><Code>{code}</Code><Message>of S3</Message></Error>".encode(), "application/xml", status)


def test_who_may_not_list_the_bucket_is_told_403_for_an_object_that_is_not_there(s3: Upstream) -> None:
    s3.replies(s3_error("AccessDenied", 403))
    assert refused(f"s3://{BUCKET}/nothing")[1:] == (
        "invalid_arguments",
        "arguments.file: No such object in the bucket; objects are kept for a day.",
    )


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (s3_error("InternalError", 500), 503, "dependency_unavailable"),
        (s3_error("SlowDown", 503), 503, "dependency_unavailable"),
        (s3_error("InvalidAccessKeyId", 403), 503, "dependency_unavailable"),
        (s3_error("NoSuchBucket", 404), 500, "misconfigured"),
        (script.reset_mid_body(content(bytes(10_000), "image/png")), 503, "dependency_unavailable"),
        (script.short_body(content(bytes(10_000), "image/png")), 503, "dependency_unavailable"),
    ],
)
def test_an_s3_that_fails(s3: Upstream, reply: script.Reply, status: int, code: str) -> None:
    s3.route(lambda _: reply)
    answer = fetch(f"s3://{BUCKET}/key")
    assert (answer.status, answer.body["code"], answer.body["retryable"]) == (status, code, status == 503)
    assert "of S3" not in answer.text


def test_an_s3_that_drips_ends_with_the_call(s3: Upstream) -> None:
    """Each byte comes in time, all of them do not."""
    s3.route(lambda _: script.drip_body(0.05, content(bytes(1000), "image/png")))
    answer = fetch(f"s3://{BUCKET}/key", seconds=3.0)
    assert (answer.status, answer.body["code"]) == (503, "dependency_unavailable")
    assert answer.body["detail"] == "S3 did not answer in time; call again."


# Files in the output.


def made(*sizes: int, event: bool = False, name: str | None = None) -> list[dict[str, Any]]:
    arguments = {"sizes": list(sizes), "name": name}
    if event:
        output = call(provider, method="make", arguments=arguments)
        assert len(json.dumps(output)) < 262_144, "a state of Step Functions holds no more"
    else:
        reply = post(provider, {"arguments": arguments}, method="make")
        assert reply.status == 200, reply.text
        output = reply.body
    return list(output["made"])


def facts(size: int, byte: int = 0) -> dict[str, Any]:
    raw = bytes([byte]) * size
    return {"size": size, "sha256": hashlib.sha256(raw).hexdigest(), "media_type": "image/png", "name": None}


def test_a_small_file_is_inline(bucket: Any) -> None:
    for event in (False, True):
        [file] = made(1000, event=event)
        inline = base64.b64encode(bytes(1000)).decode()
        assert file == {"base64": inline, "url": None, "expires_at": None} | facts(1000)
    assert "Contents" not in bucket.list_objects_v2(Bucket=BUCKET)


@pytest.mark.parametrize(("size", "event"), [(4_400_001, False), (96 * 1024 + 1, True)])
def test_a_large_file_is_an_object_with_a_url(bucket: Any, size: int, event: bool) -> None:  # noqa: FBT001  # a column of the table
    [file] = made(size, event=event, name="Ein Bild.png")
    before = datetime.now(UTC)
    assert {**facts(size), "name": "Ein Bild.png", "base64": None}.items() <= file.items()
    expires = datetime.fromisoformat(file["expires_at"])
    assert timedelta(minutes=59) < expires - before <= timedelta(hours=1)
    query = parse_qs(urlsplit(file["url"]).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["3600"]
    got = httpx.get(file["url"])
    assert got.content == bytes(size)
    assert got.headers["content-type"] == "image/png"
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''Ein%20Bild.png"


@pytest.mark.parametrize(("size", "event"), [(4_400_000, False), (96 * 1024, True)])
def test_the_largest_file_that_is_inline(bucket: Any, size: int, event: bool) -> None:  # noqa: FBT001  # a column of the table
    [file] = made(size, event=event)
    assert len(base64.b64decode(file["base64"])) == size


def test_several_files_share_what_an_output_holds(bucket: Any) -> None:
    files = made(50_000, 60_000, 40_000, 20_000, event=True)
    assert [file["base64"] is not None for file in files] == [True, False, True, False]
    assert [httpx.get(file["url"]).content[:1] for file in files if file["url"]] == [b"\x01", b"\x03"]


def test_no_two_objects_have_a_name_that_can_be_guessed(bucket: Any) -> None:
    urls = [file["url"] for _ in range(2) for file in made(100_000, 100_000, event=True, name="same.png")]
    keys = {urlsplit(url).path.split("/results/")[1].split("/")[0] for url in urls}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}


def test_a_name_that_could_do_harm_is_left_out(bucket: Any) -> None:
    [file] = made(100_000, event=True, name='../x"\n.png')
    assert file["name"] is None
    assert urlsplit(file["url"]).path.endswith("/file")


def test_what_is_written_can_be_read_by_the_next_call(bucket: Any) -> None:
    [file] = made(100_000, event=True, name="next.png")
    key = urlsplit(file["url"]).path.removeprefix(f"/{BUCKET}/")
    reply = fetch(f"s3://{BUCKET}/{key}")
    assert (len(reply.body["content"]), reply.body["media_type"], reply.body["name"]) == (
        100_000,
        "image/png",
        "next.png",
    )


def test_without_a_bucket_every_caller_gets_what_lambda_returns() -> None:
    for event in (False, True):
        arguments = {"sizes": [4_400_000]}
        output = call(provider, method="make", arguments=arguments) if event else made(4_400_000)
        assert output
    reply = post(provider, {"arguments": {"sizes": [4_400_001]}}, method="make")
    assert (reply.status, reply.body["code"]) == (502, "response_too_large")
    assert reply.body["detail"] == (
        "The file has 4,400,001 bytes, more than an answer holds, and there is no bucket to leave it in; "
        "ask for less, or have the operators set INTEGRATIONS_BUCKET."
    )


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (s3_error("AccessDenied", 403), "misconfigured"),
        (s3_error("NoSuchBucket", 404), "misconfigured"),
        (s3_error("InternalError", 500), "dependency_unavailable"),
    ],
)
def test_an_s3_that_takes_nothing(s3: Upstream, reply: script.Reply, code: str) -> None:
    s3.route(lambda _: reply)
    with pytest.raises(IntegrationError) as raised:
        call(provider, method="make", arguments={"sizes": [100_000]})
    assert raised.value.code == code


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "ap-southeast-5"])
def test_a_url_in_any_region_is_of_that_region(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """A URL of the global endpoint leads a new bucket's reader to another host than it is signed for."""
    for name, value in {"DEFAULT_REGION": region, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    url = urlsplit(Bucket(BUCKET, time.monotonic() + 5).presigned("results/key", 60))
    assert (url.scheme, url.hostname) == ("https", f"{BUCKET}.s3.{region}.amazonaws.com")
    assert parse_qs(url.query)["X-Amz-Credential"][0].split("/")[2:] == [region, "s3", "aws4_request"]


def test_nothing_of_a_signature_is_logged(
    bucket: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        [file] = made(100_000, event=True)
    finally:
        root.setLevel(before)
    signature = parse_qs(urlsplit(file["url"]).query)["X-Amz-Signature"][0]
    written = caplog.text + "".join(capsys.readouterr())
    assert '"outcome":"ok"' in written
    assert signature not in written
    assert "X-Amz" not in written
