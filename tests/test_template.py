"""The stack as AWS would make it: who may call what, who may read what, and where failures go."""

import fnmatch
import importlib
import itertools
import json
import re
import shlex
import tomllib
from typing import Any

import pytest

from devtools.project import load_provider
from tests.support import stack_findings
from tests.support.pages import PAGES
from tests.support.stack import ROOT, Stack, Template

PROVIDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/provider.py"))
OTHERS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
WITH_FILES = {
    name
    for name in PROVIDERS
    if any(method.files or "files" in method.parameters for method in load_provider(name).methods.values())
}

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:"
READ = "secretsmanager:GetSecretValue"
OWN_ROUTES = {
    "GET /health",
    "GET /integrations",
    "GET /integrations/{provider}",
    "GET /integrations/{provider}/tool",
    "GET /integrations/{provider}/{method}/tool",
    "GET /tools",
    "$default",
}


def pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def statements(stack: Stack, function: str) -> set[tuple[str, str, str]]:
    """Give effect, action and resource of all that a function's role may do beyond its logs and traces."""
    policies = stack.of_type("AWS::IAM::Role")[f"{function}Role"].get("Policies", [])
    found = set()
    for policy in policies:
        for statement in policy["PolicyDocument"]["Statement"]:
            fields = ([statement[name]] for name in ("Effect", "Action", "Resource"))
            flat = (value[0] if isinstance(value[0], list) else value for value in fields)
            found |= set(itertools.product(*flat))
    return found


def test_there_are_providers_and_other_functions_to_test() -> None:
    assert {"algolia", "wikipedia"} <= set(PROVIDERS)
    assert {"authorizer", "registry"} <= set(OTHERS)
    assert "email" in WITH_FILES
    assert "wikipedia" not in WITH_FILES


def test_each_folder_is_one_function(template: Template) -> None:
    functions = {
        name: resource["Properties"]
        for name, resource in template.written["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert {name: properties["CodeUri"] for name, properties in functions.items()} == {
        f"{pascal(name)}Function": f"functions/{name}/" for name in PROVIDERS + OTHERS
    }


def test_the_routes_are_those_of_the_providers_and_the_registry(stack: Stack) -> None:
    execute = {f"POST /execute/{name}{rest}" for name in PROVIDERS for rest in ("", "/{method}")}
    assert stack.routes().keys() == execute | OWN_ROUTES


def test_each_route_leads_to_its_own_function(stack: Stack) -> None:
    targets = {
        route: operation["x-amazon-apigateway-integration"]["uri"].split("<")[1].split(".")[0]
        for route, operation in stack.routes().items()
    }
    assert {route: targets[route] for route in OWN_ROUTES} == dict.fromkeys(OWN_ROUTES, "RegistryFunction")
    for name in PROVIDERS:
        assert targets[f"POST /execute/{name}"] == f"{pascal(name)}Function"
        assert targets[f"POST /execute/{name}/{{method}}"] == f"{pascal(name)}Function"


def test_api_gateway_may_call_the_function_of_each_route(stack: Stack) -> None:
    permissions = stack.of_type("AWS::Lambda::Permission").values()
    for route, operation in stack.routes().items():
        target = operation["x-amazon-apigateway-integration"]["uri"].split("<")[1].split(".")[0]
        asked = "arn:aws:execute-api:us-east-1:123456789012:<Api>/$default/" + (
            "GET/anything" if route == "$default" else route.replace(" ", "").replace("{", "x{")
        )
        assert any(
            permission["FunctionName"] == f"<{target}>"
            and permission["Principal"] == "apigateway.amazonaws.com"
            and fnmatch.fnmatch(asked, permission["SourceArn"])
            for permission in permissions
        ), route


# The parameters of two stacks, and of one that has little.
CHOICES: list[dict[str, str]] = [
    {},
    {"CorsOrigins": "https://a.example", "EnableSearch": "false", "ReservedConcurrency": "3"},
    {"CertificateAuthorities": "arn:aws:lambda:us-east-1:123456789012:layer:company:3", "EnableCommunication": "false"},
]


@pytest.mark.parametrize("parameters", CHOICES)
def test_every_route_but_health_asks_the_authorizer(template: Template, parameters: dict[str, str]) -> None:
    stack = template.deployed(**parameters)
    assert stack_findings.open_routes(stack) == []
    assert {"$default", "GET /integrations"} <= stack.routes().keys()
    assert stack.routes()["GET /health"]["security"] == [{"NONE": []}]


@pytest.mark.parametrize("parameters", CHOICES)
def test_nothing_is_allowed_by_a_wildcard_without_a_reason(template: Template, parameters: dict[str, str]) -> None:
    assert stack_findings.wildcards(template.deployed(**parameters)) == []


def test_each_reason_for_a_wildcard_is_needed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for allowed in list(stack_findings.WILDCARDS):
        with monkeypatch.context() as patched:
            patched.delitem(stack_findings.WILDCARDS, allowed)
            assert stack_findings.wildcards(stack), f"nothing is allowed by {allowed} any more"


@pytest.mark.parametrize("parameters", CHOICES)
def test_every_reference_leads_to_something_that_is_deployed(template: Template, parameters: dict[str, str]) -> None:
    assert stack_findings.dangling_references(template.deployed(**parameters)) == []


def test_two_stacks_of_one_account_share_no_name(template: Template) -> None:
    one, other = (template.deployed(named=name, Prefix=name) for name in ("blue", "green"))
    assert stack_findings.shared_names(one, other) == []
    # The comparison sees names at all, and would see one that is fixed.
    assert len(stack_findings.shared_names(one, one)) >= 2


# What makes an address that the world can reach, and so would need a test of who may use it.
DOORS = {"AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Stage", "AWS::Lambda::Permission"}


def test_there_is_no_door_but_the_api(stack: Stack) -> None:
    """No Function URL, least of all one without authorization, no other API and no open permission."""
    types = {resource["Type"] for resource in stack.resources.values()}
    reachable = ("AWS::ApiGateway", "AWS::Lambda::Url", "AWS::Lambda::Permission", "AWS::ElasticLoad", "AWS::AppSync")
    assert {kind for kind in types if kind.startswith(reachable)} == DOORS
    assert len(stack.of_type("AWS::ApiGatewayV2::Api")) == 1
    permissions = stack.of_type("AWS::Lambda::Permission")
    assert permissions
    for permission in permissions.values():
        assert permission["Action"] == "lambda:InvokeFunction"
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert ":<Api>/" in permission["SourceArn"]
        assert "FunctionUrlAuthType" not in permission


def test_only_the_authorizer_of_the_api_may_be_asked_by_it(stack: Stack) -> None:
    sources = {
        permission["SourceArn"].partition(":<Api>/")[2]
        for permission in stack.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] in ("<AuthorizerFunction>", "<AuthorizerFunction.Arn>")
    }
    assert sources == {"authorizers/*"}


def test_the_authorizer_is_asked_for_every_request(stack: Stack) -> None:
    body = stack.resources["Api"]["Properties"]["Body"]
    schemes = body["components"]["securitySchemes"]
    assert schemes.keys() == {"Keys"}
    authorizer = schemes["Keys"]["x-amazon-apigateway-authorizer"]
    assert "<AuthorizerFunction.Arn>" in authorizer.pop("authorizerUri")
    assert authorizer == {
        "type": "request",
        "authorizerPayloadFormatVersion": "2.0",
        "enableSimpleResponses": True,
        # With a time to live, or with a header to look for, API Gateway would answer on its own.
        "authorizerResultTtlInSeconds": 0,
        "identitySource": [],
    }


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_reads_its_own_connections_and_nothing_else(template: Template, name: str) -> None:
    stack = template.deployed(Prefix="other")
    files = {("Allow", f"s3:{action}Object", "<FilesBucket.Arn>/*") for action in ("Get", "Put")}
    assert statements(stack, f"{pascal(name)}Function") == {
        ("Allow", READ, f"{SECRET}other/{name}/*"),
        ("Allow", "sqs:SendMessage", "<DeadLetterQueue.Arn>"),
    } | (files if name in WITH_FILES else set())


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_with_files_knows_the_bucket_and_no_other_does(stack: Stack, name: str) -> None:
    variables = stack.of_type("AWS::Lambda::Function")[f"{pascal(name)}Function"]["Environment"]["Variables"]
    assert variables.get("INTEGRATIONS_BUCKET") == ("<FilesBucket>" if name in WITH_FILES else None)


def test_the_bucket_is_private_encrypted_and_empty_after_a_day(stack: Stack) -> None:
    [(name, bucket)] = stack.of_type("AWS::S3::Bucket").items()
    assert name == "FilesBucket"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    [rule] = bucket["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 1)
    assert "Prefix" not in rule
    assert "Filter" not in rule
    # Objects of which older versions stay would not be gone after a day. The account's own name for it is as good.
    assert bucket.keys().isdisjoint({"VersioningConfiguration", "BucketName", "AccessControl", "WebsiteConfiguration"})


def test_the_bucket_answers_over_tls_only(stack: Stack) -> None:
    [policy] = stack.of_type("AWS::S3::BucketPolicy").values()
    assert policy["Bucket"] == "<FilesBucket>"
    assert policy["PolicyDocument"]["Statement"] == [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["<FilesBucket.Arn>", "<FilesBucket.Arn>/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]


def test_the_authorizer_reads_the_keys_and_the_registry_nothing(template: Template) -> None:
    stack = template.deployed(Prefix="other")
    keys = {("Allow", READ, f"{SECRET}other/api-keys-??????")}
    assert statements(stack, "AuthorizerFunction") == keys
    assert statements(stack, "RegistryFunction") == set()


def test_the_picture_shows_whatever_a_role_may_read(stack: Stack) -> None:
    picture = (ROOT / "docs/access.svg").read_text(encoding="utf-8")
    shown = {"secretsmanager:GetSecretValue": ["PREFIX/api-keys", "PREFIX/PROVIDER/*"], "s3:GetObject": ["bucket"]}
    read = {
        action
        for function in stack.of_type("AWS::Lambda::Function")
        for _, action, _ in statements(stack, function)
        if ":Get" in action
    }
    assert read == shown.keys()
    assert all(text in picture for texts in shown.values() for text in texts)


def test_every_role_is_one_functions_and_else_only_logs_and_traces(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role")
    assert roles.keys() == {f"{name}Role" for name in stack.of_type("AWS::Lambda::Function")}
    for role in roles.values():
        assert role["ManagedPolicyArns"] == [
            "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
            "arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
        ]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": ["lambda.amazonaws.com"]}


def test_a_failed_asynchronous_call_is_kept(stack: Stack) -> None:
    assert stack_findings.lost_failures(stack) == []
    configurations = {
        configuration["FunctionName"]: configuration
        for configuration in stack.of_type("AWS::Lambda::EventInvokeConfig").values()
    }
    assert configurations.keys() == {f"<{pascal(name)}Function>" for name in PROVIDERS}
    for configuration in configurations.values():
        # The bundle repeats a call itself, where the method's effect allows it; Lambda must not.
        assert configuration["MaximumRetryAttempts"] == 0
        assert configuration["DestinationConfig"] == {"OnFailure": {"Destination": "<DeadLetterQueue.Arn>"}}
    queue = stack.resources["DeadLetterQueue"]["Properties"]
    assert queue == {
        "MessageRetentionPeriod": 14 * 24 * 3600,
        "SqsManagedSseEnabled": True,
    }


def test_functions_end_before_api_gateway_gives_up(stack: Stack) -> None:
    timeouts = {name: function["Timeout"] for name, function in stack.of_type("AWS::Lambda::Function").items()}
    assert timeouts["AuthorizerFunction"] < 10
    assert stack_findings.slow_functions(stack) == []


def test_each_function_has_a_log_that_ends(template: Template) -> None:
    stack = template.deployed(LogRetentionDays="7")
    logs = {log["LogGroupName"]: log["RetentionInDays"] for log in stack.of_type("AWS::Logs::LogGroup").values()}
    functions = stack.of_type("AWS::Lambda::Function")
    expected = {f"/aws/lambda/<{name}>" for name in functions} | {"/aws/vendedlogs/stack/api"}
    assert logs == dict.fromkeys(expected, "7")


def test_access_is_logged_as_json_without_query_or_headers(stack: Stack) -> None:
    (stage,) = stack.of_type("AWS::ApiGatewayV2::Stage").values()
    assert stage["AccessLogSettings"]["DestinationArn"] == "<ApiLogGroup.Arn>"
    fields = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "routeKey", "status", "sourceIp", "keyId"} <= fields.keys()
    assert not any("query" in value or "header" in value for value in fields.values())


def test_the_api_is_throttled(template: Template) -> None:
    def settings(**parameters: str) -> dict[str, Any]:
        (stage,) = template.deployed(**parameters).of_type("AWS::ApiGatewayV2::Stage").values()
        throttled: dict[str, Any] = stage["DefaultRouteSettings"]
        return throttled

    assert settings() == {"ThrottlingRateLimit": 100, "ThrottlingBurstLimit": 200}
    assert settings(RequestsPerSecond="900", RequestBurst="1800") == {
        "ThrottlingRateLimit": "900",
        "ThrottlingBurstLimit": "1800",
    }
    for name in ("RequestsPerSecond", "RequestBurst"):
        assert template.written["Parameters"][name]["MinValue"] == 1


def test_web_pages_may_call_only_where_an_origin_is_named(template: Template) -> None:
    def cors(stack: Stack) -> Any:
        return stack.resources["Api"]["Properties"]["Body"].get("x-amazon-apigateway-cors")

    closed = template.deployed()
    assert cors(closed) is None
    assert environment(closed, "authorizer")["INTEGRATIONS_CORS_ORIGINS"] == ""
    origins = "https://a.example,https://b.example"
    opened = template.deployed(CorsOrigins=origins)
    assert cors(opened)["allowOrigins"] == ["https://a.example", "https://b.example"]
    assert cors(opened)["allowMethods"] == ["GET", "POST"]
    assert {"x-api-key", "content-type"} <= set(cors(opened)["allowHeaders"])
    assert "allowCredentials" not in cors(opened)
    assert environment(opened, "authorizer")["INTEGRATIONS_CORS_ORIGINS"] == origins


def environment(stack: Stack, name: str) -> dict[str, str]:
    function = stack.of_type("AWS::Lambda::Function")[f"{pascal(name)}Function"]
    variables: dict[str, str] = function["Environment"]["Variables"]
    return variables


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_is_told_these_things_only(template: Template, name: str) -> None:
    stack = template.deployed(Prefix="other", AllowedHosts="10.0.0.0/8", Contact="ops@example.org")
    assert environment(stack, name) == {
        "INTEGRATIONS_CA_FILE": "",
        "INTEGRATIONS_PREFIX": "other",
        "INTEGRATIONS_ALLOWED_HOSTS": "10.0.0.0/8",
        "INTEGRATIONS_CONTACT": "ops@example.org",
        "POWERTOOLS_METRICS_NAMESPACE": "Integrations/stack",
        **({f"{name.upper()}_BASE_URL": ""} if speaks_http(name) else {}),
        **({"INTEGRATIONS_BUCKET": "<FilesBucket>"} if name in WITH_FILES else {}),
    }


def speaks_http(name: str) -> bool:
    return bool(load_provider(name).base_urls)


@pytest.mark.parametrize(
    ("base_urls", "algolia", "wikipedia"),
    [
        ("", "", ""),
        ("wikipedia=http://w.test/w", "", "http://w.test/w"),
        ("algolia=http://a.test,http://b.test;wikipedia=http://w.test/w?x=1", "http://a.test,http://b.test", "http://w.test/w?x=1"),
        ("wikipedia=http://w.test/w;algolia=http://a.test;", "http://a.test", "http://w.test/w"),
        ("my_wikipedia=http://no.test;algolia_2=http://no.test", "", ""),
        ("algolia=http://a.test/?wikipedia=no", "http://a.test/?wikipedia=no", ""),
        ("algolia=;wikipedia=http://w.test", "", "http://w.test"),
    ],
)  # fmt: skip
def test_base_urls_reach_the_providers_they_name(
    template: Template, base_urls: str, algolia: str, wikipedia: str
) -> None:
    stack = template.deployed(BaseUrls=base_urls)
    assert environment(stack, "algolia")["ALGOLIA_BASE_URL"] == algolia
    assert environment(stack, "wikipedia")["WIKIPEDIA_BASE_URL"] == wikipedia


def test_a_category_can_be_left_out(template: Template) -> None:
    categories: dict[str, set[str]] = {}
    for name in PROVIDERS:
        provider = importlib.import_module(f"functions.{name}.provider").provider
        categories.setdefault(provider.category, set()).add(name)
    for category, left_out in categories.items():
        stack = template.deployed(**{f"Enable{pascal(category)}": "false"})
        kept = set(PROVIDERS) - left_out
        assert stack.outputs.keys() == {"ApiUrl", "FilesBucket"} | {pascal(name) for name in kept}
        assert stack.of_type("AWS::Lambda::Function").keys() == {f"{pascal(name)}Function" for name in [*kept, *OTHERS]}
        assert stack.routes().keys() == OWN_ROUTES | {
            f"POST /execute/{name}{rest}" for name in kept for rest in ("", "/{method}")
        }
        named = json.dumps(stack.resources)
        assert not any(f"<{pascal(name)}Function" in named for name in left_out)


def test_the_outputs_are_the_url_the_bucket_and_each_providers_function(stack: Stack) -> None:
    outputs = {name: output["Value"] for name, output in stack.outputs.items()}
    assert outputs.pop("ApiUrl") == "https://<Api>.execute-api.us-east-1.amazonaws.com"
    assert outputs.pop("FilesBucket") == "<FilesBucket>"
    assert outputs == {pascal(name): f"<{pascal(name)}Function.Arn>" for name in PROVIDERS}


def test_concurrency_is_bounded_only_where_asked(template: Template) -> None:
    def bounds(stack: Stack) -> dict[str, Any]:
        return {
            name: function["ReservedConcurrentExecutions"]
            for name, function in stack.of_type("AWS::Lambda::Function").items()
            if "ReservedConcurrentExecutions" in function
        }

    assert bounds(template.deployed()) == {}
    assert bounds(template.deployed(ReservedConcurrency="5")) == {f"{pascal(name)}Function": "5" for name in PROVIDERS}


def test_authorities_of_ones_own_come_as_a_layer_of_ones_own(template: Template) -> None:
    authorities = "arn:aws:lambda:us-east-1:123456789012:layer:company:3"
    stack = template.deployed(CertificateAuthorities=authorities)
    (layer,) = stack.of_type("AWS::Lambda::LayerVersion")
    for name in PROVIDERS:
        assert stack.of_type("AWS::Lambda::Function")[f"{pascal(name)}Function"]["Layers"] == [
            f"<{layer}>",
            authorities,
        ]
        # Lambda unzips every layer into this folder.
        assert environment(stack, name)["INTEGRATIONS_CA_FILE"] == "/opt/authorities.pem"
    pattern = template.written["Parameters"]["CertificateAuthorities"]["AllowedPattern"]
    assert re.fullmatch(pattern, authorities)
    assert re.fullmatch(pattern, "")
    assert not re.fullmatch(pattern, authorities.removesuffix(":3")), "a layer without its version"


def test_providers_share_the_layer_and_the_others_go_without(stack: Stack) -> None:
    (layer,) = stack.of_type("AWS::Lambda::LayerVersion")
    for name in PROVIDERS + OTHERS:
        function = stack.of_type("AWS::Lambda::Function")[f"{pascal(name)}Function"]
        assert function.get("Layers", []) == ([f"<{layer}>"] if name in PROVIDERS else [])
        assert function["Runtime"] == "python3.13"
        handler = "provider.handler" if name in PROVIDERS else "app.handler"
        assert function["Handler"] == handler


@pytest.mark.parametrize(("architecture", "wheels"), [("arm64", "aarch64"), ("x86_64", "x86_64")])
def test_the_architecture_of_the_stack_is_that_of_the_build(template: Template, architecture: str, wheels: str) -> None:
    parameter = template.written["Parameters"]["Architecture"]
    assert architecture in parameter["AllowedValues"]
    assert parameter["Default"] == "arm64"
    stack = template.deployed(Architecture=architecture)
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["Architectures"] == [architecture]
    (layer,) = stack.of_type("AWS::Lambda::LayerVersion").values()
    assert layer["CompatibleArchitectures"] == [architecture]
    makefile = (ROOT / "make" / architecture / "Makefile").read_text()
    assert f"WHEEL_ARCHITECTURE := {wheels}\n" in makefile


def test_everything_with_code_is_built_by_the_makefile_of_its_architecture(
    template: Template,
) -> None:
    built = [
        resource["Metadata"]
        for resource in template.written["Resources"].values()
        if resource["Type"] in ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion")
    ]
    assert len(built) == len(PROVIDERS + OTHERS) + 1
    for metadata in built:
        assert metadata["BuildMethod"] == "makefile"
        assert metadata["ContextPath"] == {"Fn::Sub": "make/${Architecture}"}


def test_the_stack_has_room_for_forty_five_providers(template: Template, stack: Stack) -> None:
    """CloudFormation takes 500 resources in a stack; fifty of them are left to whoever adds his own."""
    switches = [name for name in template.written["Parameters"] if name.startswith("Enable")]
    fixed = len(template.deployed(**dict.fromkeys(switches, "false")).resources)
    each = -(-(len(stack.resources) - fixed) // len(PROVIDERS))
    assert each > 1
    assert fixed + 45 * each < 450, f"{fixed} resources, and {each} for each provider"


def test_the_page_tells_every_parameter(template: Template) -> None:
    page = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([A-Z]\w+)` \|", page, re.MULTILINE))
    switches = {name for name in template.written["Parameters"] if name.startswith("Enable")} - {"EnableStateMachines"}
    assert told == template.written["Parameters"].keys() - switches
    assert "| `Enable<Category>` | true |" in page


def test_each_deployment_that_is_shown_fits_its_template(template: Template, canary: Template) -> None:
    """They need an account, so that no test runs them."""
    shown = [path.read_text(encoding="utf-8") for path in (*PAGES, ROOT / "docs/examples/stacks.sh")]
    found = re.findall(r"^(?:\$ )?(\S*sam deploy .*--parameter-overrides .+)$", "\n".join(shown), re.MULTILINE)
    assert len(found) > 4
    for command in found:
        program, _, *words = shlex.split(re.sub(r"\$\([^)]*\)", "x", command))
        assert program == ".venv/sam/bin/sam", "it is installed there and on no path"
        given = dict(word.split("=", 1) for word in words[words.index("--parameter-overrides") + 1 :])
        of = canary if "prod" in words else template
        of.deployed(**given)
        for name, quoted in given.items():
            parameter, value = of.written["Parameters"][name], quoted.strip('"')
            assert value in parameter.get("AllowedValues", [value]), command
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), command


def test_the_configurations_fit_the_template(template: Template) -> None:
    configurations = tomllib.loads((ROOT / "samconfig.toml").read_text())
    assert configurations.pop("version") == 0.1
    # `local` is for building and running on this machine alone.
    local = configurations.pop("local")
    assert local["global"]["parameters"] == {"parameter_overrides": ["Architecture=x86_64"]}
    assert not local.keys() & {"deploy", "sync"}
    assert configurations.keys() == {"default", "dev", "prod"}
    prefixes = []
    for configuration in configurations.values():
        overrides = configuration["global"]["parameters"].get("parameter_overrides", [])
        parameters = dict(override.split("=", 1) for override in overrides)
        template.deployed(**parameters)
        prefixes.append(parameters.get("Prefix", "integrations"))
        assert configuration["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    assert len(set(prefixes)) == 3
    assert configurations["prod"]["deploy"]["parameters"]["confirm_changeset"] is True
