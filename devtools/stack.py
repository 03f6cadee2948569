"""A deployed stack of this template, as AWS describes it. Account and region are those of the AWS command line."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from devtools.errors import CommandError
from devtools.project import find_provider, provider_names
from devtools.provider_blocks import pascal


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """What CloudFormation says of a stack."""

    name: str
    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]

    @property
    def prefix(self) -> str:
        """The first part of the names of its secrets. Raise CommandError where it is a stack of something else."""
        if "Prefix" not in self.parameters:
            raise CommandError(f"The stack {self.name} has no parameter Prefix; is it one of this template?")
        return self.parameters["Prefix"]

    @property
    def api_url(self) -> str:
        """The address of its API. Raise CommandError where it has none."""
        if "ApiUrl" not in self.outputs:
            raise CommandError(f"The stack {self.name} has no output ApiUrl; is it one of this template, and deployed?")
        return self.outputs["ApiUrl"]

    def has(self, provider: str) -> bool:
        """Say whether the provider is deployed: its category may be left out, or the stack older than it."""
        return pascal(provider) in self.outputs

    def function(self, provider: str) -> str:
        """Give the ARN of a provider's function. Raise CommandError where it is not deployed."""
        find_provider(provider)
        if not self.has(provider):
            deployed = ", ".join(filter(self.has, provider_names())) or "none"
            raise CommandError(
                f"The stack {self.name} does not have {provider}: deploy it again, with the provider's category. "
                f"It has: {deployed}."
            )
        return self.outputs[pascal(provider)]


def describe(name: str) -> DeployedStack:
    """Ask CloudFormation for a stack. Raise CommandError."""
    with explained(name):
        [found] = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return DeployedStack(
        name=name,
        status=found["StackStatus"],
        parameters={item["ParameterKey"]: item["ParameterValue"] for item in found.get("Parameters", [])},
        outputs={item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])},
    )


@contextlib.contextmanager
def explained(stack: str) -> Iterator[None]:
    """Turn what AWS refuses while it is asked about a stack into a sentence."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "ValidationError":
            raise CommandError(f"There is no stack {stack} in this account and region.") from None
        raise CommandError(f"AWS refused for the stack {stack}: {code}.") from None
    except BotoCoreError as error:
        raise CommandError(
            f"AWS could not be asked about the stack {stack} ({type(error).__name__}); "
            "check credentials and region, as for the AWS command line."
        ) from None
