"""The container engine that `sam local` needs: where it is, or what is missing.

    python -m devtools.engine        prints what DOCKER_HOST must be

SAM looks for Docker by DOCKER_HOST or at Docker's usual socket; Podman answers the same at a socket of its own.
"""

import ipaddress
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx

from devtools.errors import CommandError

_NO_ENGINE = (
    "`sam local` runs functions in containers, and neither Docker nor Podman is installed: install one of them "
    "(Debian and Ubuntu: apt-get install docker.io), or do without: `integrations serve --runtime`."
)
_NOT_RUNNING = {
    "docker": "Docker is installed and does not answer: start it (Linux: systemctl start docker), and be of its group.",
    "podman": "Podman is installed and its service does not answer: systemctl --user start podman.socket.",
}


def find() -> str:
    """Give the engine's address as DOCKER_HOST has it. Raise CommandError with the remedy where none answers."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        if _answers(named):
            return named
        raise CommandError(f"No container engine answers at DOCKER_HOST={named}: start it, or unset the variable.")
    for socket in _sockets():
        if socket.is_socket() and _answers(f"unix://{socket}"):
            return f"unix://{socket}"
    for program, remedy in _NOT_RUNNING.items():
        if shutil.which("dockerd" if program == "docker" else program):
            raise CommandError(remedy)
    raise CommandError(_NO_ENGINE)


def ask(host: str, path: str, method: str = "GET") -> Any:
    """Ask the engine. Raise httpx.HTTPError where it does not answer, or refuses."""
    socket = host.removeprefix("unix://")
    transport = httpx.HTTPTransport(uds=socket) if socket != host else httpx.HTTPTransport()
    base = "http://engine" if socket != host else host.replace("tcp://", "http://", 1)
    with httpx.Client(transport=transport, timeout=20, trust_env=False) as client:
        response = client.request(method, base + path)
        response.raise_for_status()
        return response.json() if response.content else None


def bridge(host: str) -> str:
    """Give the address by which a container reaches this machine. Raise CommandError where there is none."""
    for network in ask(host, "/networks"):
        if network["Name"] in ("bridge", "podman"):
            for subnet in (network.get("IPAM") or {}).get("Config") or []:
                # Before the first container has run, Docker does not say it; it takes the first address.
                gateway: str = subnet.get("Gateway") or str(ipaddress.ip_network(subnet["Subnet"])[1])
                if "." in gateway:
                    return gateway
    raise CommandError("The container engine has no bridge; it may run in a machine of its own.")


def _answers(host: str) -> bool:
    try:
        ask(host, "/version")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False
    return True


def _sockets() -> list[Path]:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    return [
        Path("/var/run/docker.sock"),
        Path.home() / ".docker/run/docker.sock",
        runtime / "docker.sock",
        runtime / "podman/podman.sock",
        Path("/run/podman/podman.sock"),
    ]


if __name__ == "__main__":
    try:
        print(find())
    except CommandError as error:
        sys.exit(str(error))
