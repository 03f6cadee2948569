"""The folder of certificate authorities that the build makes out of a bundle."""

import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from tests.support.requirements_of_peers import peer_is_missing
from tests.support.stack import ROOT
from tests.support.upstream import Upstream, server_context


@pytest.fixture
def authorities(certificate_authority: trustme.CA, tmp_path: Path) -> Path:
    """A folder made of a bundle with three authorities, one of which the tests use."""
    if shutil.which("openssl") is None:
        peer_is_missing("openssl, which the build uses, is not installed")
    others = [trustme.CA(organization_name=f"Other {number}") for number in range(2)]
    bundle = tmp_path / "bundle.pem"
    pems = [f"# {number}\n{ca.cert_pem.bytes().decode()}" for number, ca in enumerate([*others, certificate_authority])]
    bundle.write_text("\n".join(pems))
    folder = tmp_path / "authorities"
    subprocess.run(["sh", ROOT / "make/authorities.sh", bundle, folder], check=True)
    return folder


def handshake(authorities: Path, server: Upstream) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=authorities)
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass


def test_each_certificate_has_a_file(authorities: Path) -> None:
    files = sorted(authorities.iterdir())
    assert len(files) == 3
    assert all(len(file.stem) == 8 and file.suffix[1:].isdigit() for file in files)


def test_a_server_of_an_authority_in_the_folder_is_trusted(
    authorities: Path, certificate_authority: trustme.CA
) -> None:
    with Upstream(tls=server_context(certificate_authority, "127.0.0.1")) as server:
        handshake(authorities, server)


def test_a_server_of_another_authority_is_not(authorities: Path) -> None:
    with Upstream(tls=server_context(trustme.CA(), "127.0.0.1")) as server, pytest.raises(ssl.SSLCertVerificationError):
        handshake(authorities, server)


def test_an_authority_whose_name_is_taken_gets_the_next_number(tmp_path: Path) -> None:
    same = [trustme.CA(organization_name="Same", organization_unit_name="Name") for _ in range(2)]
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"".join(ca.cert_pem.bytes() for ca in same))
    subprocess.run(["sh", ROOT / "make/authorities.sh", bundle, tmp_path / "folder"], check=True)
    assert sorted(file.suffix for file in (tmp_path / "folder").iterdir()) == [".0", ".1"]


def test_without_openssl_the_bundle_stays_in_use(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", ROOT / "make/authorities.sh", tmp_path / "bundle.pem", tmp_path / "folder"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "openssl is not installed" in done.stderr
    assert not (tmp_path / "folder").exists()
