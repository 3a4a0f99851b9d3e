"""What every template of the checkout must hold to, as functions from a template's text to what is amiss in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from local.intrinsics import load_yaml

# One of a bucket's objects: `arn:…:s3:::pics/*`, `…/object/*` of an access point, `${Arns}/*` of a list.
_OBJECTS = re.compile(r"(:s3:::[^*:]+|/object|\$\{\w+\})/\*$")
_SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|KEY$", re.IGNORECASE)
_REASON = re.compile(r"#\s*\S+(\s+\S+){2,}")
# A metric's is CloudWatch's own; a stage's is its API's.
_NO_NAMES = {"MetricName", "StageName"}
_MENTIONED = re.compile(r"'Ref': '([\w:]+)'|\$\{([\w:]+)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a policy, its conditions unfolded: the resource that has it, and its line in the text."""

    resource: str
    line: int
    body: dict[str, Any]

    def actions(self) -> list[str]:
        """The actions, one or several."""
        found = self.body.get("Action", [])
        return [found] if isinstance(found, str) else list(found)


def resources(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources by name; of an Fn::ForEach the pattern that it repeats."""
    found: dict[str, dict[str, Any]] = {}
    for name, each in document.get("Resources", {}).items():
        if name.startswith("Fn::ForEach"):
            found |= each[-1]
        else:
            found[name] = each
    return found


def of_type(document: dict[str, Any], *kinds: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of these kinds."""
    return {name: each.get("Properties", {}) for name, each in resources(document).items() if each["Type"] in kinds}


def statements(value: Any, resource: str = "") -> Iterator[Statement]:
    """Every policy statement anywhere in a template or a part of it."""
    if isinstance(value, list):
        for each in value:
            yield from statements(each, resource)
    elif isinstance(value, dict):
        if value.get("Effect") in ("Allow", "Deny"):
            yield Statement(resource, 0, value)
            return
        for name, each in value.items():
            inside = name if isinstance(each, dict) and "Type" in each and not resource else resource
            yield from statements(each, inside)


def wildcards_without_a_reason(text: str) -> list[str]:
    """Each `*` in an Action or a Resource that no comment explains, on its line or right above it."""
    lines = text.splitlines()
    found = []
    for statement in _statement_nodes(yaml.compose(text, Loader=yaml.SafeLoader)):
        for key, value in statement.value:
            if key.value not in ("Action", "Resource"):
                continue
            for scalar in _scalars(value):
                if "*" not in _OBJECTS.sub("", scalar.value) or (key.value == "Resource" and "/*" in scalar.value[:2]):
                    continue
                above = {scalar.start_mark.line - 1, key.start_mark.line - 1}
                if not any(_says_why(lines, line, own=line not in above) for line in (scalar.start_mark.line, *above)):
                    found.append(f"line {scalar.start_mark.line + 1}: {key.value} {scalar.value}")
    return found


def _says_why(lines: list[str], line: int, *, own: bool) -> bool:
    text = _QUOTED.sub("", lines[line])
    return bool(_REASON.search(text)) and (own or text.lstrip().startswith("#"))


def _statement_nodes(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    if isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _statement_nodes(each)
    elif isinstance(node, yaml.MappingNode):
        if any(key.value == "Effect" for key, _ in node.value):
            yield node
        for _, value in node.value:
            yield from _statement_nodes(value)


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _scalars(each)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)


def open_statements(document: dict[str, Any]) -> list[str]:
    """Statements by exclusion, and those that let everybody in without a condition."""
    found = []
    for statement in statements(document.get("Resources", {})):
        found += [f"{statement.resource}: {word}" for word in ("NotAction", "NotResource") if word in statement.body]
        principal = statement.body.get("Principal")
        anyone = principal == "*" or (isinstance(principal, dict) and "*" in map(str, principal.values()))
        if statement.body["Effect"] == "Allow" and (
            "NotPrincipal" in statement.body or (anyone and not statement.body.get("Condition"))
        ):
            found.append(f"{statement.resource}: everybody, without a condition")
    for name, permission in of_type(document, "AWS::Lambda::Permission").items():
        if not {"SourceArn", "SourceAccount", "PrincipalOrgID"} & permission.keys():
            found.append(f"{name}: any caller of {permission.get('Principal')}")
    return found


def without_tls(document: dict[str, Any]) -> list[str]:
    """Buckets, queues and topics whose policy does not refuse what comes without TLS, and fronts that take less."""
    refusing = [
        str((statement.body["Resource"], properties))
        for properties in of_type(
            document, "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"
        ).values()
        for statement in statements(properties)
        if statement.body["Effect"] == "Deny" and "aws:SecureTransport" in str(statement.body.get("Condition"))
    ]
    guarded = of_type(document, "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic")
    found = [name for name in guarded if not any(re.search(rf"\b{name}\b", policy) for policy in refusing)]
    for name, front in of_type(document, "AWS::CloudFront::Distribution").items():
        found += [name] if re.search(r"allow-all|http-only|match-viewer|'(SSLv3|TLSv1|TLSv1\.1)'", str(front)) else []
    for name, domain in of_type(document, "AWS::ApiGatewayV2::DomainName").items():
        policies = [each.get("SecurityPolicy") for each in domain["DomainNameConfigurations"]]
        found += [name] if set(policies) != {"TLS_1_2"} else []
    return found


def not_encrypted(document: dict[str, Any]) -> list[str]:
    """Buckets, queues, topics and tables that do not say how they are encrypted at rest."""
    found = [
        name
        for name, queue in of_type(document, "AWS::SQS::Queue").items()
        if queue.get("SqsManagedSseEnabled") is not True and not _either(queue)
    ]
    found += [name for name, it in of_type(document, "AWS::S3::Bucket").items() if "BucketEncryption" not in it]
    found += [name for name, it in of_type(document, "AWS::SNS::Topic").items() if "KmsMasterKeyId" not in it]
    for name, table in of_type(document, "AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable").items():
        found += [name] if table.get("SSESpecification", {}).get("SSEEnabled") is not True else []
    return found


def _either(queue: dict[str, Any]) -> bool:
    """Whether one condition chooses between SQS's own keys and a key."""
    own, key = (queue.get(word, {}) for word in ("SqsManagedSseEnabled", "KmsMasterKeyId"))
    match own, key:
        case {"Fn::If": [by, False, True]}, {"Fn::If": [same, {"Ref": _}, {"Ref": "AWS::NoValue"}]}:
            return bool(by == same)
        case _:
            return bool(key)


def open_to_the_public(document: dict[str, Any]) -> list[str]:
    """Buckets and access points without all four blocks, routes without an authorizer, URLs without one."""
    blocks = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    found = []
    for name, each in of_type(document, "AWS::S3::Bucket", "AWS::S3::MultiRegionAccessPoint").items():
        block = each.get("PublicAccessBlockConfiguration", {})
        found += [name] if {key for key, value in block.items() if value is True} != blocks else []
        found += [name] if "AccessControl" in each or "WebsiteConfiguration" in each else []
    for name, route in of_type(document, "AWS::ApiGatewayV2::Route").items():
        found += [name] if "AuthorizationType" not in route or "NONE" in str(route["AuthorizationType"]) else []
    for name, function in of_type(document, "AWS::Serverless::Function").items():
        found += [name] if function.get("FunctionUrlConfig", {}).get("AuthType", "AWS_IAM") != "AWS_IAM" else []
        kinds = {event["Type"] for event in function.get("Events", {}).values()}
        found += [name] if kinds & {"Api", "HttpApi"} else []  # they would be routes that nobody looks at here
    return found


def without_an_end(document: dict[str, Any]) -> list[str]:
    """Log groups that keep everything, and functions whose logs go to one that this template does not make."""
    groups = of_type(document, "AWS::Logs::LogGroup")
    found = [name for name, group in groups.items() if "RetentionInDays" not in group]
    for name, function in of_type(document, "AWS::Serverless::Function", "AWS::Lambda::Function").items():
        group = function.get("LoggingConfig", {}).get("LogGroup", {})
        found += [name] if not isinstance(group, dict) or group.get("Ref") not in groups else []
    return found


def secrets_in_plain(document: dict[str, Any]) -> list[str]:
    """Parameters that are secrets and are shown, and variables that hold one that is not a reference."""
    found = []
    for name, parameter in document.get("Parameters", {}).items():
        if _SECRET.search(name) and not re.search("Arns?$", name):
            found += [name] if not parameter.get("NoEcho") or parameter.get("Default") else []
    functions = of_type(document, "AWS::Serverless::Function")
    for each in (document.get("Globals", {}).get("Function", {}), *functions.values()):
        for name, value in each.get("Environment", {}).get("Variables", {}).items():
            found += [name] if _SECRET.search(name) and "{{resolve:secretsmanager:" not in str(value) else []
    return found


def not_recoverable(document: dict[str, Any]) -> list[str]:
    """Tables without point-in-time recovery somewhere."""
    found = []
    for name, each in resources(document).items():
        if each["Type"] == "AWS::DynamoDB::GlobalTable":
            held = str(each["Properties"]["Replicas"])
            found += [name] if held.count("'Region'") != held.count("'PointInTimeRecoveryEnabled': True") else []
    return found


def not_kept(document: dict[str, Any]) -> list[str]:
    """What holds or guards data and goes with its stack, or stays when its own creation failed."""
    holds = {
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
        "AWS::S3::MultiRegionAccessPointPolicy",
        "AWS::DynamoDB::Table",
        "AWS::DynamoDB::GlobalTable",
        "AWS::SecretsManager::Secret",
    }
    return [
        name
        for name, each in resources(document).items()
        if each["Type"] in holds
        and (each.get("DeletionPolicy"), each.get("UpdateReplacePolicy")) != ("RetainExceptOnCreate", "Retain")
    ]


def fixed_names(document: dict[str, Any]) -> list[str]:
    """Names that a second stack of the template could not have beside the first."""
    given = {"AWS::StackName"} | document.get("Parameters", {}).keys() | document.get("Resources", {}).keys()
    found = []
    for resource, each in resources(document).items():
        properties = each.get("Properties", {})
        inside = [value for key, value in properties.items() if key.endswith("Config") and isinstance(value, dict)]
        for key, value in [pair for level in (properties, *inside) for pair in level.items()]:
            if (
                key.endswith("Name")
                and key not in _NO_NAMES
                and not given & {ref or sub for ref, sub in _MENTIONED.findall(str(value))}
            ):
                found.append(f"{resource}.{key}")
    return found


def read(text: str) -> dict[str, Any]:
    """The template, its short tags written out."""
    return load_yaml(text)
