"""`integrations doctor --stack`: does a deployed stack work, and has it what its callers need?"""

import time
from collections.abc import Iterator
from typing import Any

import boto3
import httpx

from devtools import connections, keys
from devtools.doctor import Finding
from devtools.errors import CommandError
from devtools.project import load_provider, provider_names
from devtools.stack import DeployedStack, describe, explained
from devtools.stack_store import StackStore
from devtools.store import API_KEYS, SecretStore
from functions.authorizer.app import Key
from integrations import Provider
from integrations.version import VERSION

HEALTH_TIMEOUT = 10.0  # seconds; the first start of the function may be part of it

_WORKING = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE"}
_AS_BEFORE = {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_ROLLBACK_COMPLETE"}


def examine(name: str) -> Iterator[Finding]:
    """Look at one thing after the other. Raise CommandError where there is no such stack, or AWS cannot be asked."""
    stack = describe(name)
    store = StackStore(name)
    yield _status(stack)
    yield _health(stack)
    yield _keys(stack, store)
    with explained(name):
        functions: Any = boto3.client("lambda")
    stored = set(store.names())
    for of in provider_names():
        provider = load_provider(of)
        if not stack.has(of):
            yield Finding(f"{of}: not deployed")
            continue
        yield _function(stack, of, functions)
        yield _connection(stack, provider, store, stored)


def _status(stack: DeployedStack) -> Finding:
    what = f"stack {stack.name}: {stack.status}"
    if stack.status in _WORKING:
        return Finding(what)
    if stack.status in _AS_BEFORE:
        return Finding(what, "the last deployment failed and the one before it is in use; see its events, deploy again")
    if stack.status.endswith("_IN_PROGRESS"):
        return Finding(what, "wait until it is done", needed=True)
    return Finding(what, "see its events in CloudFormation, and deploy again", needed=True)


def _health(stack: DeployedStack) -> Finding:
    url = f"{stack.api_url}/health"
    try:
        answer = httpx.get(url, timeout=HEALTH_TIMEOUT)
        health = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return Finding(f"GET {url}: no answer ({type(error).__name__})", "see the access log of the API", needed=True)
    if not (answer.is_success and isinstance(health, dict) and health.get("status") == "ok"):
        remedy = "see the log of the function RegistryFunction"
        return Finding(f"GET {url}: status {answer.status_code}", remedy, needed=True)
    what = f"GET {url}: ok, version {health.get('version')}"
    return Finding(what, "" if health.get("version") == VERSION else f"this checkout is {VERSION}; deploy it")


def _keys(stack: DeployedStack, store: SecretStore) -> Finding:
    found = keys.records(store.get(API_KEYS))
    usable = sum(map(_is_usable, found.values()))
    what = f"API keys: {usable} of {len(found)} can be used"
    return Finding(what, "" if usable else f"`integrations keys create --stack {stack.name}` makes one", needed=True)


def _is_usable(entry: keys.Record) -> bool:
    try:
        return not Key(entry).is_over(time.time())
    except (ValueError, OverflowError):
        return False


def _function(stack: DeployedStack, provider: str, client: Any) -> Finding:
    with explained(stack.name):
        try:
            answer = client.get_function_configuration(FunctionName=stack.function(provider))
        except client.exceptions.ResourceNotFoundException:
            return Finding(f"{provider}: its function is gone", "deploy again", needed=True)
    # An idle function becomes Inactive, and starts again when it is called.
    if "Failed" in (answer.get("State"), answer.get("LastUpdateStatus")):
        reason = answer.get("StateReasonCode") or answer.get("LastUpdateStatusReasonCode") or "no reason given"
        return Finding(f"{provider}: its function failed ({reason})", "deploy again", needed=True)
    return Finding(f"{provider}: function {answer['FunctionName']}")


def _connection(stack: DeployedStack, provider: Provider, store: SecretStore, stored: set[str]) -> Finding:
    """Look at the default connection: whether it is there, and whether it is one."""
    name, put = f"{provider.name}/default", f"`integrations secrets put {provider.name} --stack {stack.name}`"
    if provider.setup is None:
        return Finding(f"{provider.name}: needs no setup")
    value = store.get(name) if name in stored else None
    if value is None:
        needed = "" if connections.required_fields(provider) else ", and it needs none"
        return Finding(f"{provider.name}: no setup{needed}; callers send one, or {put} stores one")
    try:
        connections.checked(provider, value, None)
    except CommandError as error:
        return Finding(f"{provider.name}: the stored setup does not fit ({error})", f"{put} stores it again")
    return Finding(f"{provider.name}: setup stored")
