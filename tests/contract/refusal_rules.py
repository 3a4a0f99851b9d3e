"""What CloudFormation or a service would refuse, or do otherwise than is meant, as functions from a template."""

import re
from collections.abc import Iterator
from typing import Any

from tests.contract.stack_rules import of_type

_NAMED = re.compile(r"\$\{AWS::StackName\}-(\w+)-\*")
# Of a name that CloudFormation makes: twelve at the end, two hyphens. Roles and functions have at most 64.
_RANDOM, _LONGEST = 12, 64
# Of the settings' `name`, and of a stack that has it with `-edge` behind.
LONGEST_NAME = 30


def shared_names(document: dict[str, Any]) -> list[str]:
    """Names of parameters, mappings and resources are unique among all of the template
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/mappings-section-structure.html)."""
    parameters = document.get("Parameters", {}).keys()
    return sorted(parameters & {*document.get("Mappings", {}), *document.get("Resources", {})})


def secrets_by_name(document: dict[str, Any]) -> list[str]:
    """Secrets that are read by the name that the same template gives them: nothing says that they are made before.

    Excepted is the other branch of a condition, of which one refers to the secret itself."""
    found = []
    for name, secret in of_type(document, "AWS::SecretsManager::Secret").items():
        given = secret.get("Name", {})
        if isinstance(given, dict) and (by_name := given.get("Fn::Sub")):
            found += [name for text, beside in _texts(document["Resources"])
                      if f"secretsmanager:{by_name}" in text and f"${{{name}}}" not in beside]  # fmt: skip
    return found


def _texts(value: Any, beside: str = "") -> Iterator[tuple[str, str]]:
    """Every text, and what the branches of the condition are that chooses it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, str(each) if key == "Fn::If" else beside)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, beside)
    elif isinstance(value, str):
        yield value, beside


def crowded_access_logs(document: dict[str, Any]) -> list[str]:
    """Groups that API Gateway writes to, and that take up a place each in a policy of 5,120 characters
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html)."""
    groups = of_type(document, "AWS::Logs::LogGroup")
    written = [stage["AccessLogSettings"]["DestinationArn"]["Fn::GetAtt"][0]
               for stage in of_type(document, "AWS::ApiGatewayV2::Stage").values()
               if "AccessLogSettings" in stage]  # fmt: skip
    return [
        name for name in written if not str(groups[name].get("LogGroupName")).startswith("{'Fn::Sub': '/aws/vended")
    ]


def cut_names(document: dict[str, Any], longest: int) -> list[str]:
    """Patterns of made names with the whole name of a stack before, of which CloudFormation may leave only a part."""
    found = set(_NAMED.findall(str(document["Resources"])))
    return sorted(each for each in found if longest + len(each) + _RANDOM + 2 > _LONGEST)
