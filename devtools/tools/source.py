"""What every tool format is made from: a method, its two schemas and its effect."""

from typing import NamedTuple

from devtools.errors import CommandError
from devtools.tools.schema import RecursiveModel, Schema, of_arguments, of_output
from integrations import Provider
from integrations.provider import Method


class Source(NamedTuple):
    """A method as tools need it."""

    name: str
    description: str
    arguments: Schema
    output: Schema
    method: Method


def source_of(provider: Provider, method: Method) -> Source:
    """Read a method. Raise CommandError where a model contains itself: no vendor takes references for sure."""
    name = f"{provider.name}_{method.name}"
    try:
        arguments, output = of_arguments(method.arguments), of_output(method.output)
    except RecursiveModel as recursive:
        raise CommandError(
            f"{name}: every vendor refuses the model {recursive}: it contains itself; write its levels as models."
        ) from None
    return Source(name, method.description, arguments, output, method)
