"""The secrets of a deployed stack, in AWS Secrets Manager."""

import contextlib
import json
from collections.abc import Callable, Iterator

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from devtools.store import StoreError, Value


class StackStore:
    """The secrets below the stack's prefix. Account and region are those of the AWS command line."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        with self._explained():
            self._prefix = _prefix(stack)
            self._client = boto3.client("secretsmanager")

    def names(self) -> list[str]:
        """Name every secret."""
        start = f"{self._prefix}/"
        with self._explained():
            # The filter takes names that start with the value.
            pages = self._client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [start]}])
            names = [secret["Name"] for page in pages for secret in page["SecretList"]]
        return sorted(name.removeprefix(start) for name in names)

    def get(self, name: str) -> Value | None:
        """Give a secret's value, or None where there is none of that name."""
        with self._explained():
            try:
                answer = self._client.get_secret_value(SecretId=self._id(name), VersionStage="AWSCURRENT")
            # The second one is what a secret answers that is scheduled for deletion.
            except (self._client.exceptions.ResourceNotFoundException, self._client.exceptions.InvalidRequestException):
                return None
        value: Value = json.loads(answer["SecretString"])
        return value

    def update(self, name: str, change: Callable[[Value | None], Value]) -> None:
        """Store what `change` makes of the present value, or of None where there is none."""
        text = json.dumps(change(self.get(name)))
        with self._explained():
            try:
                if "DeletedDate" in self._client.describe_secret(SecretId=self._id(name)):
                    # Removed less than 30 days ago: its name is still taken, and takes no value.
                    self._client.restore_secret(SecretId=self._id(name))
                self._client.put_secret_value(SecretId=self._id(name), SecretString=text)
            except self._client.exceptions.ResourceNotFoundException:
                self._client.create_secret(Name=self._id(name), SecretString=text)

    def delete(self, name: str) -> bool:
        """Remove a secret, which AWS can restore for 30 days; say whether there was one."""
        if self.get(name) is None:
            return False
        with self._explained():
            self._client.delete_secret(SecretId=self._id(name))
        return True

    def _id(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what AWS refuses into a sentence."""
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ValidationError":
                raise StoreError(f"There is no stack {self._stack} in this account and region.") from None
            raise StoreError(f"AWS refused for the stack {self._stack}: {code}.") from None
        except BotoCoreError as error:
            raise StoreError(
                f"AWS could not be asked about the stack {self._stack} ({type(error).__name__}); "
                "check credentials and region, as for the AWS command line."
            ) from None


def _prefix(stack: str) -> str:
    """Read the stack's parameter Prefix."""
    [description] = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    values = {item["ParameterKey"]: item["ParameterValue"] for item in description.get("Parameters", [])}
    if "Prefix" not in values:
        raise StoreError(f"The stack {stack} has no parameter Prefix; is it one of this template?")
    return values["Prefix"]
