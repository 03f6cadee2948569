"""The secrets of a deployed stack, in AWS Secrets Manager."""

import json
from collections.abc import Callable

import boto3

from devtools.stack import describe, explained
from devtools.store import Value


class StackStore:
    """The secrets below the stack's prefix."""

    def __init__(self, stack: str) -> None:
        self._stack = stack
        self._prefix = describe(stack).prefix
        with explained(stack):
            self._client = boto3.client("secretsmanager")

    def names(self) -> list[str]:
        """Name every secret."""
        start = f"{self._prefix}/"
        with explained(self._stack):
            # The filter takes names that start with the value.
            pages = self._client.get_paginator("list_secrets").paginate(Filters=[{"Key": "name", "Values": [start]}])
            names = [secret["Name"] for page in pages for secret in page["SecretList"]]
        return sorted(name.removeprefix(start) for name in names)

    def get(self, name: str) -> Value | None:
        """Give a secret's value, or None where there is none of that name.

        Others write secrets here too: what is no object is an empty one, so that it can be stored again.
        """
        with explained(self._stack):
            try:
                answer = self._client.get_secret_value(SecretId=self._id(name), VersionStage="AWSCURRENT")
            # The second one is what a secret answers that is scheduled for deletion.
            except (self._client.exceptions.ResourceNotFoundException, self._client.exceptions.InvalidRequestException):
                return None
        try:
            value = json.loads(answer.get("SecretString", ""))
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def update(self, name: str, change: Callable[[Value | None], Value]) -> None:
        """Store what `change` makes of the present value, or of None where there is none."""
        text = json.dumps(change(self.get(name)))
        with explained(self._stack):
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
        with explained(self._stack):
            self._client.delete_secret(SecretId=self._id(name))
        return True

    def _id(self, name: str) -> str:
        return f"{self._prefix}/{name}"
