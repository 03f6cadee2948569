"""How the authorizer reads its secret without boto3: judged by AWS's own signer, by moto and by broken servers."""

import datetime
import json
import socket
import string
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from functions.authorizer import secrets_manager
from functions.authorizer.secrets_manager import ReadError, read
from tests.support import upstream as script
from tests.support.aws import Secrets
from tests.support.upstream import LOOPBACK, Upstream, refused_url, server_context

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJ="
VALUE = '{"keys": {}}'
FOUND = script.json({"Name": "integrations/api-keys", "SecretString": VALUE})


def refusal(code: str, status: int = 400) -> script.Message:
    return script.json({"__type": code, "Message": f"not for {SECRET_KEY}"}, status=status)


@pytest.fixture
def aws(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Give a Secrets Manager that says what a test wants, and this function's environment."""
    for name, value in {
        "ENDPOINT_URL": upstream.url,
        "REGION": "eu-central-1",
        "ACCESS_KEY_ID": "AKIDEXAMPLE",
        "SECRET_ACCESS_KEY": SECRET_KEY,
        "SESSION_TOKEN": TOKEN,
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return upstream


def failed() -> tuple[str, bool]:
    """Read, and give how it failed: with what code, and whether as an outage."""
    with pytest.raises(ReadError) as caught:
        read("integrations/api-keys")
    assert caught.value.__cause__ is None
    assert SECRET_KEY not in str(caught.value)
    return str(caught.value), caught.value.outage


# What is sent.


def test_the_request(aws: Upstream) -> None:
    aws.replies(FOUND)
    assert read("team/prod/api-keys") == VALUE
    request = aws.last
    assert (request.method, request.target) == ("POST", "/")
    assert request.json() == {"SecretId": "team/prod/api-keys", "VersionStage": "AWSCURRENT"}
    authorization = request.headers.pop("authorization")
    moment = datetime.datetime.strptime(request.headers.pop("x-amz-date"), "%Y%m%dT%H%M%S%z")
    assert abs((datetime.datetime.now(datetime.UTC) - moment).total_seconds()) < 60
    assert request.headers == {
        "content-type": "application/x-amz-json-1.1",
        "host": f"{LOOPBACK}:{aws.port}",
        "x-amz-security-token": TOKEN,
        "x-amz-target": "secretsmanager.GetSecretValue",
        "content-length": str(len(request.body)),
        "connection": "close",
    }
    signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
    scope = f"{moment:%Y%m%d}/eu-central-1/secretsmanager/aws4_request"
    assert f"Credential=AKIDEXAMPLE/{scope}, SignedHeaders={signed}, Signature=" in authorization


BASE64 = string.ascii_letters + string.digits + "+/="
moments = st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2100, 1, 1))  # noqa: DTZ001  # UTC, as written


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,30}(:[1-9][0-9]{1,3})?", fullmatch=True),
    body=st.binary(max_size=200),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    moment=moments,
    access_key=st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=20),
    secret_key=st.text(BASE64, min_size=1, max_size=60),
    token=st.none() | st.text(BASE64, min_size=1, max_size=400),
)
def test_awss_own_signer_gives_the_same_signature(
    host: str,
    body: bytes,
    region: str,
    moment: datetime.datetime,
    access_key: str,
    secret_key: str,
    token: str | None,
) -> None:
    at = moment.strftime("%Y%m%dT%H%M%SZ")
    credentials = secrets_manager.Credentials(access_key, secret_key, token)
    headers = secrets_manager.signed_headers(host, body, region, at, credentials)
    ours = headers.pop("authorization")
    request = AWSRequest("POST", f"https://{host}/", headers=headers, data=body)
    request.context["timestamp"] = at
    signer = SigV4Auth(Credentials(access_key, secret_key, token), "secretsmanager", region)
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    scope = f"{signer.scope(request)}, SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}"
    assert ours == f"AWS4-HMAC-SHA256 Credential={scope}, Signature={signature}"


REGIONS = [
    (partition, region)
    for partition in ("aws", "aws-cn", "aws-us-gov")
    for region in boto3.Session().get_available_regions("secretsmanager", partition)
    if "fips" not in region
]


def test_there_are_regions_of_each_partition() -> None:
    assert {("aws", "eu-central-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")} <= set(REGIONS)


@pytest.mark.parametrize("region", [region for _, region in REGIONS])
def test_a_regions_endpoint_is_that_of_awss_own_client(region: str) -> None:
    client = boto3.client("secretsmanager", region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
    endpoint = secrets_manager.endpoint_of(region)
    assert f"https://{endpoint.authority}" == client.meta.endpoint_url
    assert (endpoint.tls, endpoint.port) == (True, 443)


@pytest.mark.parametrize(
    ("url", "tls", "authority"),
    [
        ("https://vpce-1.secretsmanager.example", True, "vpce-1.secretsmanager.example"),
        ("https://Host.example:8443/", True, "host.example:8443"),
        ("http://127.0.0.1:5000", False, "127.0.0.1:5000"),
        ("http://[::1]:5000", False, "[::1]:5000"),
        ("http://localhost:80", False, "localhost"),
    ],
)
def test_the_environment_may_name_another_endpoint(
    monkeypatch: pytest.MonkeyPatch, url: str, *, tls: bool, authority: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://other.example")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", url)
    endpoint = secrets_manager.endpoint_of("eu-central-1")
    assert (endpoint.tls, endpoint.authority) == (tls, authority)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"AWS_REGION": ""}, "NoRegion"),
        ({"AWS_REGION": "eu/central"}, "NoRegion"),
        ({"AWS_ACCESS_KEY_ID": ""}, "NoCredentials"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "NoCredentials"),
        ({"AWS_ENDPOINT_URL": "ftp://127.0.0.1"}, "InvalidEndpointUrl"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1/path"}, "InvalidEndpointUrl"),
        ({"AWS_ENDPOINT_URL": "http://user:pass@127.0.0.1"}, "InvalidEndpointUrl"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:99999"}, "InvalidEndpointUrl"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1\r\nx: y"}, "InvalidEndpointUrl"),
    ],
)
def test_without_what_it_needs_nothing_is_sent(
    aws: Upstream, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], code: str
) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    assert failed() == (code, False)
    assert aws.requests == []


# What comes back.


def test_moto_gives_the_secret(secrets: Secrets) -> None:
    value = json.dumps({"keys": {"é\u2028": {"sha256": "x" * 60_000}}})
    secrets.put("api-keys", value)
    assert read("integrations/api-keys") == value
    secrets.put("api-keys", VALUE)
    assert read("integrations/api-keys") == VALUE
    secrets.client.delete_secret(SecretId="integrations/api-keys")
    assert failed() == ("InvalidRequestException", False)


@pytest.mark.usefixtures("secrets")
def test_moto_has_no_such_secret() -> None:
    assert failed() == ("ResourceNotFoundException", False)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (refusal("ResourceNotFoundException"), "ResourceNotFoundException"),
        (refusal("com.amazonaws.secretsmanager#AccessDeniedException"), "AccessDeniedException"),
        (refusal("DecryptionFailure"), "DecryptionFailure"),
        (refusal(f"<{SECRET_KEY}>"), "Status400"),
        (script.json([], status=404), "Status404"),
        (script.json({"SecretBinary": "AAAA"}), "Status200"),
        (script.json({"SecretString": 5}), "Status200"),
    ],
)
def test_a_refusal_is_final(aws: Upstream, reply: script.Message, code: str) -> None:
    aws.replies(reply)
    assert failed() == (code, False)
    assert len(aws.requests) == 1


TRANSIENT: dict[str, tuple[script.Reply, str]] = {
    "server error": (refusal("InternalServiceError", 500), "InternalServiceError"),
    "throttled": (refusal("ThrottlingException"), "ThrottlingException"),
    "too many": (script.json({}, status=429), "Status429"),
    "no JSON": (script.html("<h1>Captive portal</h1>"), "Status200"),
    "proxy": (script.html("<h1>Bad gateway</h1>", status=502), "Status502"),
    "closed": (script.close_before_reply(), "BadAnswer"),
    "reset": (script.reset_before_reply(), "ConnectionResetError"),
    "cut": (script.short_body(FOUND), "BadAnswer"),
    "short length": (script.long_body(FOUND), "Status200"),
    "no length": (script.chunked_body(FOUND), "BadAnswer"),
    "negative length": (script.negative_length(FOUND), "BadAnswer"),
    "no HTTP": (script.raw(b"220 mail.example ESMTP\r\n\r\n"), "BadAnswer"),
    "endless head": (script.raw(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200_000), "BadAnswer"),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_what_may_pass_is_tried_twice(aws: Upstream, name: str) -> None:
    reply, code = TRANSIENT[name]
    aws.replies(reply, FOUND)
    assert read("integrations/api-keys") == VALUE
    aws.replies(reply, reply)
    assert failed() == (code, True)
    assert len(aws.requests) == 4


def test_each_attempt_has_a_connection_of_its_own(aws: Upstream) -> None:
    aws.replies(script.json({}, status=503), FOUND)
    read("integrations/api-keys")
    assert [request.connection for request in aws.requests] == [1, 2]


def test_an_answer_in_pieces_is_put_together(aws: Upstream) -> None:
    aws.replies(script.drip_body(0.001, FOUND), script.drip_headers(0.001, FOUND))
    assert [read("integrations/api-keys") for _ in range(2)] == [VALUE, VALUE]


def test_what_follows_the_body_is_not_part_of_it(aws: Upstream) -> None:
    aws.replies(script.raw(FOUND.head() + FOUND.body + b"more"))
    assert read("integrations/api-keys") == VALUE


def test_it_ends_in_time_whatever_drips(aws: Upstream) -> None:
    aws.replies(*[script.drip_body(0.2, FOUND)] * 2)
    started = time.monotonic()
    assert failed() == ("TimeoutError", True)
    assert time.monotonic() - started < 8, "the function itself ends after nine seconds"


def test_nobody_is_there(aws: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused_url() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert failed() == ("ConnectionRefusedError", True)


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", f"{'x' * 64}.example"])
def test_a_name_that_is_none(aws: Upstream, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
    assert failed() == ("gaierror", True)


def test_the_second_address_of_a_host_is_tried(aws: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name has ::1 and 127.0.0.1, and the server listens on the latter only."""
    families = {entry[0] for entry in socket.getaddrinfo("localhost", aws.port, type=socket.SOCK_STREAM)}
    assert socket.AF_INET in families
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{aws.port}")
    aws.replies(FOUND)
    assert read("integrations/api-keys") == VALUE


# TLS.


@pytest.fixture
def over_tls(aws: Upstream, certificate_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """A Secrets Manager whose certificate names `localhost` only."""
    with Upstream(tls=server_context(certificate_authority, "localhost")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
        server.route(lambda _: FOUND)
        yield server


def test_a_certificate_of_a_trusted_authority(
    over_tls: Upstream, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority_file))
    assert read("integrations/api-keys") == VALUE
    assert over_tls.last.headers["host"] == f"localhost:{over_tls.port}"


def test_a_certificate_for_another_name(
    over_tls: Upstream, authority_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority_file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{LOOPBACK}:{over_tls.port}")
    assert failed() == ("SSLCertVerificationError", True)
    assert over_tls.requests == []


def test_a_certificate_of_an_unknown_authority(over_tls: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed() == ("SSLCertVerificationError", True)
    assert over_tls.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_is_none(
    over_tls: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: Any
) -> None:
    bundle = tmp_path / "bundle.pem"
    if content:
        bundle.write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert failed() == ("InvalidCaBundle", False)
    assert over_tls.requests == []
