"""A provider for tests of files and URLs: each of its methods goes where the caller says.

`provider_of` declares it on any copy of the layer's package, so that a changed copy can be asked the same questions.
"""

import importlib
from typing import Any

from pydantic import Field, SecretStr

URL_OF_SERVICE = "https://fetching.invalid"
KEY = "fetching-key-0123456789"


def provider_of(package: str) -> Any:
    """Declare the provider with the classes of this package."""
    layer = importlib.import_module(package)
    files = importlib.import_module(f"{package}.files")
    urls = importlib.import_module(f"{package}.urls")
    addresses = importlib.import_module(f"{package}.addresses")

    class FetchingSetup(layer.Setup):  # type: ignore[misc, name-defined]  # as in all of this, mypy cannot see the package
        server_url: str = Field(URL_OF_SERVICE, description="Where the service is.")
        api_key: SecretStr = Field(SecretStr(KEY), description="The key.")

    class FetchArguments(layer.Arguments):  # type: ignore[misc, name-defined]
        file: files.FileInput = Field(description="A file.")  # type: ignore[name-defined]
        max_bytes: int = Field(10_000_000, description="How large it may be.")

    class FetchOutput(layer.Output):  # type: ignore[misc, name-defined]
        content: str = Field(description="What is in it, byte by byte in Latin-1.")
        media_type: str | None = Field(description="What it is.")
        name: str | None = Field(description="What it is called.")

    class AskArguments(layer.Arguments):  # type: ignore[misc, name-defined]
        path: str = Field("items", description="What to ask for.")

    class NameArguments(layer.Arguments):  # type: ignore[misc, name-defined]
        url: str = Field(description="A URL, to be asked for by another.")

    class AnyOutput(layer.Output):  # type: ignore[misc, name-defined]
        value: Any = Field(description="What came of it.")

    class MakeArguments(layer.Arguments):  # type: ignore[misc, name-defined]
        sizes: list[int] = Field(description="How many bytes each file has.")
        name: str | None = Field(None, description="What they are called.")

    class MakeOutput(layer.Output):  # type: ignore[misc, name-defined]
        made: list[files.FileOutput] = Field(description="The files.")  # type: ignore[name-defined]

    class AnyReply(layer.Reply):  # type: ignore[misc, name-defined]
        value: Any = None

    provider = layer.Provider(
        name="fetching",
        title="Fetching",
        url="https://fetching.example",
        docs="https://fetching.example/docs",
        category="search",
        setup=FetchingSetup,
        base_url=URL_OF_SERVICE,
        headers={"x-fetching-key": "{api_key}"},
        attempt_timeout=3.0,
    )

    @provider.method(read_only=True, files=True)  # type: ignore[untyped-decorator]
    def fetch(args: FetchArguments, files: Any) -> FetchOutput:
        """Read a file."""
        file = files.read(args.file, "file", max_bytes=args.max_bytes)
        return FetchOutput(content=file.content.decode("latin-1"), media_type=file.media_type, name=file.name)

    @provider.method(read_only=True)  # type: ignore[untyped-decorator]
    def ask(args: AskArguments, http: Any, setup: FetchingSetup) -> AnyOutput:
        """Ask a service that the setup names."""
        service = http.at_url(setup.server_url, "setup", "server_url")
        return AnyOutput(value=service.get("/{}", args.path, reply=AnyReply).value)

    @provider.method(read_only=True)  # type: ignore[untyped-decorator]
    def name(args: NameArguments) -> AnyOutput:
        """Say what another would be asked for, as a public page of the web."""
        try:
            return AnyOutput(value=str(urls.parsed(args.url, urls.WEB)))
        except addresses.Denied as denied:
            errors = importlib.import_module(f"{package}.errors")
            raise errors.UrlDenied(f"arguments.url: {denied}.") from None

    @provider.method(read_only=True)  # type: ignore[untyped-decorator]
    def knock(args: AskArguments, tcp: Any, setup: FetchingSetup) -> AnyOutput:
        """Hear what a server says that the setup names, by another protocol than HTTP."""
        with tcp.connected(setup.server_url, 25, ports=(25,), tls=False) as connection:
            return AnyOutput(value=connection.read_line())

    @provider.method(read_only=True, files=True)  # type: ignore[untyped-decorator]
    def make(args: MakeArguments, files: Any) -> MakeOutput:
        """Make files."""
        made = [
            files.write(bytes([number % 256]) * size, media_type="image/png", name=args.name)
            for number, size in enumerate(args.sizes)
        ]
        return MakeOutput(made=made)

    return provider


provider = provider_of("integrations")
