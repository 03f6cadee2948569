#!/bin/sh
# python.sh VERSION... -- MODULE...   prints the path of a Python of one of these versions that has these modules.
# Candidates are run, not looked up: a version manager puts names on PATH that only print an error.
set -u

versions= modules= incomplete=
while [ "$1" != -- ]; do versions="$versions $1"; shift; done
shift
modules=$*

candidates() {
	command -v python3
	for version in $versions; do
		command -v "python$version"
		ls -d "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version".*/bin/"python$version"
	done
}

has_version='import sys; sys.exit("%d.%d" % sys.version_info[:2] not in sys.argv[1:])'
has_modules='import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]'

for python in $(candidates 2>/dev/null); do
	# shellcheck disable=SC2086 # the lists are split on purpose
	"$python" -c "$has_version" $versions >/dev/null 2>&1 || continue
	# shellcheck disable=SC2086
	if "$python" -c "$has_modules" $modules >/dev/null 2>&1; then
		echo "$python"
		exit 0
	fi
	incomplete=$python
done

if [ -n "$incomplete" ]; then
	echo "$incomplete runs but lacks one of the modules: $modules." >&2
	echo "Debian and Ubuntu keep them apart: apt-get install python3-venv python3-pip." >&2
else
	echo "No Python that runs was found for one of the versions:$versions." >&2
	echo "Install one (python.org, your system's packages, pyenv or uv) and put it on PATH." >&2
fi
exit 1
