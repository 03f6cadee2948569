"""The `integrations` command. Each command says what it does; the work is in the modules it calls."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import click

from devtools.errors import CommandError, UsageError
from devtools.local import take_stdout
from devtools.project import BUILT, find_provider, store_folder
from devtools.store import API_KEYS, LocalStore, SecretStore

# The modules behind the commands are imported inside them: `--help` need not wait for moto or the providers.


def _examples(*lines: str) -> str:
    """Give the end of a help text; the first mark keeps click from running the lines together."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """Turn an error that has a sentence for the person into that sentence."""

    @functools.wraps(command)
    def told(**given: Any) -> None:
        try:
            command(**given)
        except UsageError as error:
            raise click.UsageError(str(error)) from None
        except CommandError as error:
            raise click.ClickException(str(error)) from None

    return told


def _open_store(stack: str | None) -> SecretStore:
    if stack is None:
        return LocalStore(store_folder())
    from devtools.stack_store import StackStore

    return StackStore(stack)


def _not_empty(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse what a variable that is not set leaves of an option: the command would work on this machine instead."""
    if value == "":
        raise click.BadParameter("it is empty.")
    return value


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples(
        "integrations serve                                the whole bundle on http://127.0.0.1:8000",
        "integrations invoke wikipedia -a query=Lovelace   one call, without a server",
    ),
)
def main() -> None:
    """Serve, call and extend the bundle on this machine."""


@main.command(
    epilog=_examples("integrations serve", "integrations serve --port 0 --key me.$(openssl rand -hex 32)"),
)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option("--key", metavar="ID.SECRET", help="An API key for this run, instead of a random one.")
@click.option("--runtime", is_flag=True, help="Run what `make build` built, behind AWS's own runtime client.")
@click.option(
    "--build-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=BUILT,
    help="Where --runtime finds it, if not in .aws-sam/build.",
)
@click.option("--stage", default="$default", show_default=True, help="The API's stage; a named one starts every path.")
@_told
def serve(port: int, key: str | None, stage: str, build_dir: Path, *, runtime: bool) -> None:
    """Serve the bundle on one port of this machine.

    The same handlers, routes and authorizer as in AWS, with a Secrets Manager on loopback that is fed from the local
    store. Prints the address once it accepts, a key that holds for this run, and a curl line to try; the key is also in
    .integrations/key until the server ends. Logs go to standard error; metrics are not written unless
    POWERTOOLS_METRICS_DISABLED=false is set.

    With --runtime each function is a process of Lambda's Python, 3.13, with nothing on its path but what was built:
    what was left out of the artifact is missing here too. A change of the sources shows once they are built again.
    """
    from devtools import keys, server

    if key is not None and not keys.is_key(key):
        raise UsageError("--key is ID.SECRET: two parts of printable ASCII around a dot.")
    server.serve(port, key, stage, build_dir if runtime else None)


@main.command(epilog=_examples("integrations new acme", "integrations new llama_parse --title LlamaParse"))
@click.argument("name")
@click.option("--title", metavar="TEXT", help="The service's name as people write it; made from NAME when left out.")
@_told
def new(name: str, title: str | None) -> None:
    """Start the provider NAME.

    Writes functions/NAME/provider.py with one method, its event and its tests, then runs `sync`. All tests pass at
    once; from there, change what the service does differently.
    """
    from devtools import scaffold
    from devtools.project import ROOT

    for path in scaffold.create(name, title):
        click.echo(f"wrote {path.relative_to(ROOT)}")


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when something is stale.")
@_told
def sync(*, check: bool) -> None:
    """Rewrite what is generated from functions/*/provider.py.

    That is template.yaml between its marker lines, the registry's catalog and its tools, and the pages of docs/ that
    say so at their top. A tool that a vendor of language models would refuse is told, and nothing is written.
    """
    from devtools import sync as generated
    from devtools.project import ROOT

    paths = generated.stale() if check else generated.write()
    for path in paths:
        click.echo(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
    if check and paths:
        raise CommandError("Generated files are stale; run `integrations sync` and commit what it writes.")


# As devtools.tools has them, which `--help` need not wait for; a test holds the two together.
_FORMATS = ("openai", "openai-responses", "anthropic", "gemini", "bedrock", "agentcore", "mcp")


@main.command(
    epilog=_examples("integrations tools", "integrations tools --format anthropic > tools.json"),
)
@click.option("--format", "tool_format", type=click.Choice(_FORMATS), default="openai", show_default=True)
@_told
def tools(tool_format: str) -> None:
    """Print every method as a tool of a language model.

    It is a JSON array, as the vendor's request takes it, made from functions/*/provider.py at once. A tool that cannot
    be strict although the format is, because it takes an object of any keys, is named on standard error.
    """
    from devtools.project import load_provider, provider_names
    from devtools.tools import compiled_all

    every = compiled_all([load_provider(name) for name in provider_names()])
    for tool in every:
        if tool_format == "openai-responses" and tool.free_places:
            click.echo(f"{tool.name}: strict is false; any keys are taken at {', '.join(tool.free_places)}", err=True)
    click.echo(json.dumps([tool.definitions[tool_format] for tool in every], indent=2, ensure_ascii=False))


@main.command(
    epilog=_examples("integrations asl wikipedia.search", "integrations asl email.send > state.json"),
)
@click.argument("call", metavar="PROVIDER[.METHOD]")
@_told
def asl(call: str) -> None:
    """Print a method as a state for AWS Step Functions.

    It is what goes into `States` of a state machine: a state that calls the method, with what is repeated, what is
    caught and how long is waited, and the states that its failures lead to. The input of the state is the arguments.
    ${...} stands for the ARN of the function, as DefinitionSubstitutions of AWS SAM fills it in.
    """
    from devtools import asl as language
    from devtools.project import TEMPLATE, find_method
    from devtools.template import read_functions

    provider, method = find_method(call)
    timeout = next(function.timeout for function in read_functions(TEMPLATE) if function.name == provider.name)
    click.echo(language.text(language.states(provider, method, timeout)))


@main.command(
    epilog=_examples(
        "integrations invoke wikipedia.search -a query='Ada Lovelace' -a limit=1",
        "integrations invoke algolia -e events/algolia.search.json -a 'query=\"2024\"'",
        "INTEGRATIONS_API_KEY=id.secret integrations invoke wikipedia -a query=tea --url http://127.0.0.1:8000",
        "integrations invoke wikipedia -a query=tea --stack integrations-prod",
    ),
)
@click.argument("call", metavar="PROVIDER[.METHOD]")
@click.option("-a", "--argument", "pairs", multiple=True, metavar="KEY=VALUE", help="An argument; may be repeated.")
@click.option(
    "-e",
    "--event",
    "event_file",
    type=click.File("rb"),
    metavar="FILE",
    help="The call as JSON, as in events/; -a wins. `-` reads standard input.",
)
@click.option("--connection", metavar="NAME", help="The stored connection to use, instead of `default`.")
@click.option(
    "--url",
    metavar="URL",
    callback=_not_empty,
    help="Call a running server or a deployed API; the key is INTEGRATIONS_API_KEY.",
)
@click.option("--stack", metavar="NAME", callback=_not_empty, help="Call a deployed stack.")
@_told
def invoke(
    call: str,
    pairs: tuple[str, ...],
    event_file: BinaryIO | None,
    connection: str | None,
    url: str | None,
    stack: str | None,
) -> None:
    """Call a method and print its output.

    A VALUE that parses as JSON is JSON: 5 is a number, "5" in double quotes is text, [1, 2] is a list; anything else
    is text. KEY=@FILE takes the text of a file, or the base64 of one that is not text; text that starts with an @
    stands in double quotes.

    --stack calls the stack's API where INTEGRATIONS_API_KEY holds a key for it. Without one it invokes the provider's
    function, for which the credentials of the AWS command line must allow lambda:InvokeFunction.

    Without a METHOD the provider's default one is called. The output goes to standard output; a failure is printed to
    standard error as a problem, and the exit code is 1.
    """
    from devtools import invocation

    if url and stack:
        raise UsageError("--url and --stack name two places for one call; give one of them.")
    out = take_stdout()
    asked = invocation.read_call(call, pairs, event_file.read() if event_file else None, connection)
    if stack:
        from devtools.stack_call import to_stack

        outcome = to_stack(stack, asked)
    else:
        outcome = invocation.over_http(url, asked) if url else invocation.in_process(asked)
    print(outcome.text, file=sys.stderr if outcome.failed else out, flush=True)
    sys.exit(1 if outcome.failed else 0)


_in_stack = click.option(
    "--stack", metavar="NAME", callback=_not_empty, help="A deployed stack, instead of the local store."
)
_named = click.option("--connection", metavar="NAME", help="The connection, instead of `default`.")


@main.group()
def secrets() -> None:
    """Store what reaches a service: keys, hosts.

    A connection holds the setup of a provider, and may pin arguments: those win over what a caller sends. Without
    --stack it goes into the local store, the folder .integrations/ of this checkout; a running `serve` sees it at the
    next call.
    """


@secrets.command(
    epilog=_examples(
        "integrations secrets put algolia",
        "integrations secrets put algolia --connection catalogue --from-file connection.json",
        "integrations secrets put algolia --stack integrations-prod < setup.json",
    ),
)
@click.argument("provider")
@_named
@_in_stack
@click.option("--from-file", "file", type=click.File("rb"), metavar="FILE", help="Read the value from a file.")
@_told
def put(provider: str, connection: str | None, stack: str | None, file: BinaryIO | None) -> None:
    """Store a connection of PROVIDER.

    At a terminal the fields are asked for. Otherwise standard input is read, as JSON: the setup, or
    {"setup": {...}, "arguments": {...}, "base_url": "..."}. Values never stand on the command line, where other
    programs can see them. A masked value, as `get` shows it, keeps the stored one.
    """
    from devtools import connections

    declared = find_provider(provider)
    name = connections.secret_name(declared, connection)
    store = _open_store(stack)
    if file is None and sys.stdin.isatty():
        given = connections.ask(declared, store.get(name))
    else:
        given = connections.parse(declared, (file or sys.stdin.buffer).read())
    store.update(name, lambda stored: connections.checked(declared, given, stored))
    click.echo(f"Stored {name}.")


@secrets.command()
@click.argument("provider")
@_named
@_in_stack
@_told
def get(provider: str, connection: str | None, stack: str | None) -> None:
    """Show a connection of PROVIDER with its secrets masked.

    `put` takes the same form back.
    """
    from devtools import connections

    declared = find_provider(provider)
    name = connections.secret_name(declared, connection)
    value = _open_store(stack).get(name)
    if value is None:
        raise CommandError(f"There is no {name}; `integrations secrets put {provider}` stores it.")
    click.echo(json.dumps(connections.masked(declared, value), indent=2, ensure_ascii=False))


@secrets.command("list")
@click.argument("provider", required=False)
@_in_stack
@_told
def list_(provider: str | None, stack: str | None) -> None:
    """List the connections of PROVIDER, or all of them."""
    from devtools import connections

    if provider:
        find_provider(provider)
    stored = connections.stored_connections(_open_store(stack), provider)
    for of, name in stored:
        click.echo(f"{of} {name}")
    if not stored:
        click.echo("There are no connections; `integrations secrets put PROVIDER` stores one.", err=True)


@secrets.command()
@click.argument("provider")
@_named
@_in_stack
@_told
def rm(provider: str, connection: str | None, stack: str | None) -> None:
    """Remove a connection of PROVIDER. In a stack, AWS can restore it for 30 days."""
    from devtools import connections

    declared = find_provider(provider)
    name = connections.secret_name(declared, connection)
    if not _open_store(stack).delete(name):
        raise CommandError(f"There is no {name}; `integrations secrets list` shows what there is.")
    click.echo(f"Removed {name}.")


@main.group("keys")
def keys_group() -> None:
    """Make and revoke the API keys that callers send.

    Only a hash of each is stored. Without --stack they are in the local store and hold for `serve`.
    """


@keys_group.command(
    "create",
    epilog=_examples(
        "integrations keys create --label 'the shop'                         every call, until it is revoked",
        "integrations keys create --scope wikipedia --scope algolia.search   these calls and no other",
        "integrations keys create --scope '*.search' --expires 30d           what every provider calls search",
        "integrations keys create --expires 2027-01-31 --stack integrations-prod",
    ),
)
@click.option("--label", metavar="TEXT", help="What the key is for; `list` shows it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="PROVIDER[.METHOD]",
    help="What the key may call, instead of everything; may be repeated. * stands for any characters, ? for one.",
)
@click.option(
    "--expires", metavar="WHEN", help="30d, 12h, a day (it ends as that day starts in UTC) or an ISO 8601 moment."
)
@_in_stack
@_told
def create_key(label: str | None, scopes: tuple[str, ...], expires: str | None, stack: str | None) -> None:
    """Make a key and print it, once, as ID.SECRET.

    With scopes the key calls those methods only, and sees nothing else in the catalog and the tools.
    """
    from devtools import keys

    key = keys.generate()
    entry = keys.record(
        key,
        label,
        keys.read_scopes(scopes) if scopes else None,
        None if expires is None else keys.read_expiry(expires),
    )
    _open_store(stack).update(API_KEYS, lambda stored: keys.added(stored, entry))
    click.echo(key)


@keys_group.command("list")
@_in_stack
@_told
def list_keys(stack: str | None) -> None:
    """List the keys: id, when it was made, when it is over, what it may call, label."""
    from devtools import keys

    lines = keys.listing(keys.records(_open_store(stack).get(API_KEYS)))
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("There are no keys; `integrations keys create` makes one.", err=True)


@keys_group.command("revoke")
@click.argument("key_id", metavar="ID")
@_in_stack
@_told
def revoke_key(key_id: str, stack: str | None) -> None:
    """Revoke the key ID, as `list` shows it. A deployed stack takes it for up to 60 seconds more."""
    from devtools import keys

    store = _open_store(stack)
    if key_id not in keys.records(store.get(API_KEYS)):
        raise CommandError(
            "There is no key with that id, which is the part of a key before its dot; `integrations keys list` shows "
            "those there are."
        )
    store.update(API_KEYS, lambda stored: keys.without(stored, key_id))
    click.echo(f"Revoked {key_id}.")


@main.command(epilog=_examples("integrations doctor", "integrations doctor --stack integrations-prod"))
@click.option("--stack", metavar="NAME", callback=_not_empty, help="Check a deployed stack, instead of this machine.")
@_told
def doctor(stack: str | None) -> None:
    """Check that what the project needs is there, and say how to get what is not.

    Ends with 1 only when `make run` or `make test` would fail, or callers of the stack.
    """
    from devtools import doctor as local
    from devtools import stack_doctor

    findings = list(stack_doctor.examine(stack) if stack else local.examine())
    for finding in findings:
        mark, remedy = ("missing", f": {finding.remedy}") if finding.remedy else ("ok", "")
        click.echo(f"{mark:8}{finding.what}{remedy}")
    if any(finding.remedy and finding.needed for finding in findings):
        needing = f"callers of the stack {stack} need" if stack else "`make run` or `make test` needs"
        raise CommandError(f"Something that {needing} is missing.")


if __name__ == "__main__":
    main()
