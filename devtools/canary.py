"""template.canary.yaml: the same stack, with a deployment that shifts traffic and is rolled back on an alarm.

SAM makes an alias only where the template says its name in plain text, so a parameter cannot turn it on; and with an
alias a change of nothing but a parameter would not reach what the alias leads to. Hence a second template, for stacks
that want it, which is written from the first and differs in this:

* Every function has an alias, `live`, and a version that is published whenever any property of the function changes,
  the layer included. The API, the asynchronous calls and the outputs lead to the alias.
* CodeDeploy shifts the alias to a new version by the parameter DeploymentPreference, and back when an alarm goes off,
  unless RollbackOnAlarms is false.
* The parameter Release is part of each function. A deployment that changes parameters only must change it too.
"""

import re

from devtools.errors import CommandError

HEAD = "# Written by `integrations sync` from template.yaml by devtools/canary.py. Changes here are lost.\n"
ALIAS = "live"
# What a new version can be guilty of. The others go off for what services, callers or the account do.
ROLLBACK_ALARMS = ("server-errors", "faults")

_PARAMETERS = """\
  DeploymentPreference:
    Description: How traffic goes over to new versions, as CodeDeploy calls it
    Type: String
    # Longer than server-errors takes to go off, which is ten minutes.
    Default: Canary10Percent15Minutes
    AllowedValues:
      - AllAtOnce
      - Canary10Percent5Minutes
      - Canary10Percent10Minutes
      - Canary10Percent15Minutes
      - Canary10Percent30Minutes
      - Linear10PercentEvery1Minute
      - Linear10PercentEvery2Minutes
      - Linear10PercentEvery3Minutes
      - Linear10PercentEvery10Minutes
  RollbackOnAlarms:
    Description: Shift traffic back when an alarm goes off; false lets a release pass that mends what one is on for
    Type: String
    Default: "true"
    AllowedValues: ["true", "false"]
  Release:
    Description: Any name of what is deployed; where only parameters change, it must change with them
    Type: String
    Default: "1"
    AllowedPattern: "[A-Za-z0-9._-]{1,64}"
"""

_CONDITIONS = """\
  RollsBackOnAlarms: !Equals [!Ref RollbackOnAlarms, "true"]
"""

_GLOBALS = """\
    AutoPublishAlias: {alias}
    DeploymentPreference:
      Type: !Ref DeploymentPreference
      # A function that is not deployed has no deployment group.
      PassthroughCondition: true
      Alarms: !If
        - RollsBackOnAlarms
        - [{alarms}]
        - [!Ref AWS::NoValue]
"""


# Without all properties a change of the layer, which is most of the code, would publish nothing. CloudFormation
# publishes anew where the description of a version changes, and Lambda only where the function does: the release is in
# both. Neither can stand in Globals: of the one SAM does not know, of the other cfn-lint.
_FUNCTION = re.compile(r"^    Type: AWS::Serverless::Function\n(?:    .*\n)*?    Properties:\n", re.MULTILINE)
_VERSION = "      AutoPublishAliasAllProperties: true\n      VersionDescription: !Ref Release\n"


def variant(template: str) -> str:
    """Give the template with aliases and deployments. Raise CommandError where it is not as expected."""
    alarms = ", ".join(f'!Sub "${{AWS::StackName}}-{name}"' for name in ROLLBACK_ALARMS)
    text = _after("\nParameters:\n", _PARAMETERS, template)
    text = _after("\nConditions:\n", _CONDITIONS, text)
    text = _after("\nGlobals:\n  Function:\n", _GLOBALS.format(alias=ALIAS, alarms=alarms), text)
    text = _after(
        "        POWERTOOLS_METRICS_NAMESPACE: !Sub Integrations/${AWS::StackName}\n",
        "        INTEGRATIONS_RELEASE: !Ref Release\n",
        text,
    )
    text = _after("      LayerName: !Sub ${AWS::StackName}-common\n", "      PublishLambdaVersion: true\n", text)
    text = _FUNCTION.sub(rf"\g<0>{_VERSION}", text)
    return HEAD + re.sub(r"!GetAtt (\w+Function)\.Arn\b", r"!Ref \1.Alias", text)


def _after(anchor: str, added: str, text: str) -> str:
    if text.count(anchor) != 1:
        raise CommandError(f"template.yaml: this must stand there once, for template.canary.yaml:\n{anchor}")
    return text.replace(anchor, anchor + added)
