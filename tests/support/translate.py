"""Print a SAM template and the plain CloudFormation that it becomes, as JSON.

Run by the Python of the SAM tools, which has the translator and shares no package with the tests.
"""

import json
import sys
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

CODE_PROPERTIES = ("CodeUri", "ContentUri", "DefinitionUri")


def main(path: str, *given: str) -> None:
    """Translate the template at `path` as AWS would after `sam package`.

    `given` are the parameters that SAM itself works out and CloudFormation never sees, each as NAME=VALUE.
    """
    template = yaml_parse(Path(path).read_text())
    packaged = json.loads(json.dumps(template))
    for resource in packaged["Resources"].values():
        _upload(resource.get("Properties", {}))
    # A known default would be written in place of some references: tests choose the values later.
    for parameter in packaged["Parameters"].values():
        del parameter["Default"]
    values = dict(value.split("=", 1) for value in given)
    translated = Translator({}, Parser()).translate(packaged, parameter_values=values)
    translated["Parameters"] = template["Parameters"]
    json.dump({"template": template, "translated": translated}, sys.stdout)


def _upload(properties: dict[str, Any]) -> None:
    """Name a place in S3 for code and definitions that lie here: the translator takes no paths.

    A packaged template has uploaded them already: a URL of S3, or an object of bucket and key.
    """
    for name in CODE_PROPERTIES:
        place = properties.get(name)
        if isinstance(place, str) and not place.startswith("s3://"):
            properties[name] = f"s3://bucket/{place}"


if __name__ == "__main__":
    main(*sys.argv[1:])
