"""A real MediaWiki, Debian's 1.39 on SQLite, with the pages of `mediawiki_pages.xml`.

It answers as Wikipedia does: search, extracts, redirects, page properties, and errors with status
200. By hand: `python -m tests.support.mediawiki` prints `ready URL` and serves until interrupted.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.processes import Server, served
from tests.support.requirements_of_peers import peer_is_missing

MEDIAWIKI = Path("/usr/share/mediawiki")
PAGES = Path(__file__).with_name("mediawiki_pages.xml")
PACKAGES = "mediawiki php-cli php-sqlite3 php-mbstring php-xml php-intl"
SCRIPT_PATH = "/w"

# What the installer's settings lack. Debian has no Disambiguator extension, which gives the pages
# that list meanings of a name the page property `disambiguation`: a hook does the same here.
SETTINGS = """
$wgServer = 'http://' . ( $_SERVER['HTTP_HOST'] ?? '127.0.0.1' );
$wgArticlePath = '/wiki/$1';
$wgJobRunRate = 0;
$wgPingback = false;
$wgSearchType = 'SearchSqlite';
wfLoadExtension( 'TextExtracts' );
$wgHooks['ParserAfterParse'][] = static function ( $parser, &$text ) {
    $text = str_replace( '__DISAMBIG__', '', $text, $found );
    if ( $found ) {
        $parser->getOutput()->setPageProperty( 'disambiguation', '' );
    }
};
"""

# PHP's own server looks for files below its root; MediaWiki's scripts stand elsewhere.
ROUTER = """<?php
$path = parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH );
if ( preg_match( '#^/w/(api|index|rest)\\.php(/.*)?$#', $path, $found ) ) {
    $script = $found[1];
    $_SERVER['PATH_INFO'] = $found[2] ?? '';
} elseif ( str_starts_with( $path, '/wiki/' ) ) {
    $script = 'index';
} else {
    http_response_code( 404 );
    return true;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = "/w/$script.php";
$_SERVER['SCRIPT_FILENAME'] = "MEDIAWIKI/$script.php";
chdir( 'MEDIAWIKI' );
require "MEDIAWIKI/$script.php";
""".replace("MEDIAWIKI", str(MEDIAWIKI))


def missing() -> str | None:
    """Why no MediaWiki can be started here."""
    if shutil.which("php") and (MEDIAWIKI / "api.php").exists():
        return None
    return f"MediaWiki is not installed: apt-get install --no-install-recommends {PACKAGES}"


@contextlib.contextmanager
def running_mediawiki(folder: Path) -> Iterator[str]:
    """Install a wiki into a folder, fill it, and serve it at the URL given (which ends in `/w`)."""
    environment = _install(folder)
    router = folder / "router.php"
    router.write_text(ROUTER, encoding="utf-8")
    # PHP chooses the port, so that no other process can take it in between. One process serves:
    # PHP_CLI_SERVER_WORKERS would make children that outlive it.
    argv: list[str | Path] = ["php", "-S", "127.0.0.1:0", "-t", folder, router]
    with served(
        argv,
        lambda server: _url(server),
        folder / "server.log",
        env={**environment, "PHP_CLI_SERVER_WORKERS": None},
    ) as server:
        yield f"{_url(server)}{SCRIPT_PATH}"


def _url(server: Server) -> str | None:
    return server.find(r"Development Server \((http://127\.0\.0\.1:\d+)\) started")


def _install(folder: Path) -> Mapping[str, str]:
    data, settings = folder / "data", folder / "LocalSettings.php"
    data.mkdir()
    # `install.php` refuses to run when it finds settings, and Debian has some for its own wiki.
    environment = {"MW_CONFIG_FILE": str(settings)}
    _maintain(
        environment,
        "install.php",
        "--dbtype=sqlite",
        f"--dbpath={data}",
        f"--confpath={folder}",
        "--server=http://127.0.0.1",
        f"--scriptpath={SCRIPT_PATH}",
        "--pass=only-on-loopback",
        "Wiki",
        "Admin",
    )
    with settings.open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    _maintain(environment, "importDump.php", str(PAGES))
    _maintain(environment, "runJobs.php")
    _maintain(environment, "rebuildtextindex.php")
    return environment


def _maintain(environment: Mapping[str, str], script: str, *arguments: str) -> None:
    done = subprocess.run(
        ["php", MEDIAWIKI / "maintenance" / script, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"MediaWiki's {script} failed:\n{done.stdout}{done.stderr}")


@pytest.fixture(scope="session")
def mediawiki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a MediaWiki's scripts: `api.php` is at `{mediawiki}/api.php`."""
    if reason := missing():
        peer_is_missing(reason)
    with running_mediawiki(tmp_path_factory.mktemp("mediawiki")) as url:
        yield url


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    if reason := missing():
        raise SystemExit(reason)
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    with tempfile.TemporaryDirectory() as folder, running_mediawiki(Path(folder)) as url:
        print(f"ready {url}", flush=True)  # noqa: T201 - read by whoever started this
        interrupted.wait()


if __name__ == "__main__":
    main()
