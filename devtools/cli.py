"""The `integrations` command. Each command says what it does; the work is in the modules it calls."""

import sys
from typing import BinaryIO

import click

from devtools.local import take_stdout
from devtools.store import StoreError

# The modules behind the commands are imported inside them: `--help` need not wait for moto or the providers.


def _examples(*lines: str) -> str:
    """Give the end of a help text; the first mark keeps click from running the lines together."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


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
def serve(port: int, key: str | None) -> None:
    """Serve the bundle on one port of this machine.

    The same handlers, routes and authorizer as in AWS, with a Secrets Manager on loopback that is fed from the local
    store. Prints the address once it accepts, a key that holds for this run, and a curl line to try. Logs go to
    standard error; metrics are not written unless POWERTOOLS_METRICS_DISABLED=false is set.
    """
    from devtools import keys, server

    if key is not None and not keys.is_key(key):
        raise click.BadParameter("a key is ID.SECRET: two parts of printable ASCII around a dot.", param_hint="--key")
    try:
        server.serve(port, key)
    except server.PortInUse as error:
        raise click.ClickException(f"{error} Choose another one with --port, or 0 for a free one.") from None
    except StoreError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when something is stale.")
def sync(*, check: bool) -> None:
    """Rewrite what is generated from functions/*/provider.py.

    That is template.yaml between its marker lines, and functions/registry/catalog.json.
    """
    from devtools import sync as generated
    from devtools.project import ROOT

    try:
        paths = generated.stale() if check else generated.write()
    except generated.SyncError as error:
        raise click.ClickException(str(error)) from None
    for path in paths:
        click.echo(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
    if check and paths:
        raise click.ClickException("Generated files are stale; run `integrations sync` and commit what it writes.")


@main.command(
    epilog=_examples(
        "integrations invoke wikipedia.search -a query='Ada Lovelace' -a limit=1",
        "integrations invoke algolia -e events/algolia.search.json -a 'query=\"2024\"'",
        "INTEGRATIONS_API_KEY=id.secret integrations invoke wikipedia -a query=tea --url http://127.0.0.1:8000",
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
@click.option("--url", metavar="URL", help="Call a running server or a deployed API; the key is INTEGRATIONS_API_KEY.")
def invoke(
    call: str, pairs: tuple[str, ...], event_file: BinaryIO | None, connection: str | None, url: str | None
) -> None:
    """Call a method and print its output.

    A VALUE that parses as JSON is JSON: 5 is a number, "5" in double quotes is text, [1, 2] is a list; anything else
    is text. KEY=@FILE takes the text of a file. Without a METHOD the provider's default one is called. The output goes
    to standard output; a failure is printed to standard error as a problem, and the exit code is 1.
    """
    from devtools import invocation

    out = take_stdout()
    try:
        asked = invocation.read_call(call, pairs, event_file.read() if event_file else None, connection)
        outcome = invocation.over_http(url, asked) if url else invocation.in_process(asked)
    except invocation.UsageError as error:
        raise click.UsageError(str(error)) from None
    except (invocation.InvocationError, StoreError) as error:
        raise click.ClickException(str(error)) from None
    print(outcome.text, file=sys.stderr if outcome.failed else out, flush=True)
    sys.exit(1 if outcome.failed else 0)
