"""Secrets Manager and S3 on loopback, played by moto."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest


@dataclass
class Secrets:
    """A Secrets Manager and what was read from it."""

    client: Any
    url: str
    reads: list[str] = field(default_factory=list)

    def put(self, name: str, value: dict[str, Any] | str) -> str:
        """Store a connection as `integrations/<name>` and give its version."""
        text = value if isinstance(value, str) else json.dumps(value)
        try:
            made = self.client.create_secret(Name=f"integrations/{name}", SecretString=text)
        except self.client.exceptions.ResourceExistsException:
            made = self.client.put_secret_value(SecretId=f"integrations/{name}", SecretString=text)
        return str(made["VersionId"])

    def deploy(self, stack: str, **parameters: str) -> None:
        """Create a stack that has these parameters and nothing else of ours."""
        body = {
            "Parameters": {name: {"Type": "String"} for name in parameters},
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        }
        boto3.client("cloudformation").create_stack(
            StackName=stack,
            TemplateBody=json.dumps(body),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Secrets]:
    """Give an empty Secrets Manager that the bundle reads its connections from."""
    from moto.backends import get_backend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    moto = DomainDispatcherApplication(create_backend_app)
    reads: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> Any:
        if environ.get("HTTP_X_AMZ_TARGET", "").endswith("GetSecretValue"):
            reads.append(environ["HTTP_X_AMZ_TARGET"])
        return moto(environ, start)

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    yield Secrets(boto3.client("secretsmanager"), url, reads)
    server.shutdown()
    server.server_close()
    thread.join()
    for service in ("secretsmanager", "cloudformation"):
        get_backend(service).reset()


BUCKET = "the-bundles-bucket"


@pytest.fixture
def bucket(secrets: Secrets, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give a client of S3, in which there is the bundle's bucket and another one."""
    from moto.backends import get_backend

    s3 = boto3.client("s3")
    for name in (BUCKET, "another-bucket"):
        s3.create_bucket(Bucket=name)
    monkeypatch.setenv("INTEGRATIONS_BUCKET", BUCKET)
    yield s3
    s3.close()
    get_backend("s3").reset()
