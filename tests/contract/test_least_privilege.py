"""No template grants, shows or opens more than it must; what is excepted has its reason here, or beside its line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract import stack_rules
from tests.contract.source_tree import LAYER, ROOT, imported, module_name, python_files

TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "stacks").glob("*.yaml"))]
TEXTS = {str(path.relative_to(ROOT)): path.read_text() for path in TEMPLATES}
DOCUMENTS = {name: stack_rules.read(text) for name, text in TEXTS.items()}
SECURITY = (ROOT / "docs" / "security.md").read_text()

RULES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    rule.__name__: rule
    for rule in (
        stack_rules.open_statements,
        stack_rules.without_tls,
        stack_rules.not_encrypted,
        stack_rules.open_to_the_public,
        stack_rules.without_an_end,
        stack_rules.secrets_in_plain,
        stack_rules.not_recoverable,
        stack_rules.not_kept,
        stack_rules.fixed_names,
    )
}
# (template, rule, what): the reason. One that is not needed any more fails.
EXCEPTIONS = {
    ("template.yaml", "open_to_the_public", "GatewayFunction"): "it verifies its clients' SigV4 itself, as S3 does",
    ("stacks/edge.yaml", "without_an_end", "OriginRouterFunction"): "Lambda@Edge makes its groups where it runs",
    ("stacks/edge.yaml", "secrets_in_plain", "ProbeKey"): "the key of an object",
    ("stacks/bucket.yaml", "secrets_in_plain", "ProbeKey"): "the key of an object",
    ("stacks/watch.yaml", "secrets_in_plain", "TopicKey"): "the ARN of a KMS key",
    ("stacks/page.yaml", "not_kept", "PageBucket"): "its files are copies of the checkout's",
    ("stacks/page.yaml", "not_kept", "PageBucketPolicy"): "it goes with its bucket",
    ("template.yaml", "not_kept", "CursorKey"): "another key ends the listings that are under way, no more",
    ("template.yaml", "fixed_names", "JwtAuthorizer.Name"): "an authorizer is its API's",
}


@pytest.mark.parametrize("template", TEXTS)
def test_a_wildcard_has_its_reason_beside_it(template: str) -> None:
    assert stack_rules.wildcards_without_a_reason(TEXTS[template]) == []


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("template", TEXTS)
def test_a_template_holds_to(template: str, rule: str) -> None:
    excepted = {what for where, name, what in EXCEPTIONS if (where, name) == (template, rule)}
    assert set(RULES[rule](DOCUMENTS[template])) == excepted


def test_exceptions_are_of_templates_and_rules_that_there_are() -> None:
    assert {(where, rule) for where, rule, _ in EXCEPTIONS} <= {(where, rule) for where in TEXTS for rule in RULES}


# The rules themselves: each finds what it is for.

_STATEMENT = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - Effect: Allow
                Action: {action}
                Resource: {resource}
"""


@pytest.mark.parametrize(
    ("action", "resource", "found"),
    [
        ("s3:GetObject", "!Sub arn:aws:s3:::${Bucket}/*", 0),
        ("s3:GetObject", "'*'", 1),
        ("s3:GetObject", "'*' # why", 1),
        ("s3:GetObject", "'*' # there is no name to give", 0),
        ("s3:GetObject", "'# not a comment, is it *'", 1),
        ("s3:*", "!Sub arn:aws:s3:::${Bucket}/*", 1),
        ("[s3:GetObject, dynamodb:*]", "!GetAtt Table.Arn", 1),
        ("dynamodb:GetItem", "!Sub arn:aws:dynamodb:*:${AWS::AccountId}:table/catalog", 1),
        ("dynamodb:GetItem", "[!GetAtt Table.Arn, !Sub 'arn:aws:dynamodb:eu-west-2:1:table/*']", 1),
    ],
)
def test_a_wildcard_is_found(action: str, resource: str, found: int) -> None:
    text = _STATEMENT.replace("{action}", action).replace("{resource}", resource)
    assert len(stack_rules.wildcards_without_a_reason(text)) == found


def test_a_reason_right_above_counts_and_one_further_up_does_not() -> None:
    text = _STATEMENT.format(action="s3:CreateJob", resource="'*'")
    line = "                Resource: '*'"
    above = text.replace(line, f"                # A job has no name yet.\n{line}")
    further = text.replace("              - Effect", "              # A job has no name yet.\n              - Effect")
    assert stack_rules.wildcards_without_a_reason(above) == []
    assert len(stack_rules.wildcards_without_a_reason(further)) == 1


@pytest.mark.parametrize(
    ("rule", "kind", "properties"),
    [
        ("open_statements", "AWS::IAM::Role", "{Statement: [{Effect: Allow, NotAction: [iam:PassRole], Resource: x}]}"),
        (
            "open_statements",
            "AWS::S3::BucketPolicy",
            "{Statement: [{Effect: Allow, Principal: '*', Action: s3:GetObject}]}",
        ),
        (
            "open_statements",
            "AWS::SQS::QueuePolicy",
            "{Statement: [{Effect: Allow, Principal: {AWS: '*'}, Action: a:B}]}",
        ),
        ("open_statements", "AWS::Lambda::Permission", "{Principal: s3.amazonaws.com}"),
        ("without_tls", "AWS::SQS::Queue", "{SqsManagedSseEnabled: true}"),
        ("without_tls", "AWS::CloudFront::Distribution", "{ViewerProtocolPolicy: allow-all}"),
        ("not_encrypted", "AWS::SQS::Queue", "{}"),
        ("not_encrypted", "AWS::SNS::Topic", "{}"),
        ("not_encrypted", "AWS::DynamoDB::Table", "{}"),
        ("open_to_the_public", "AWS::S3::Bucket", "{PublicAccessBlockConfiguration: {BlockPublicAcls: true}}"),
        ("open_to_the_public", "AWS::ApiGatewayV2::Route", "{AuthorizationType: NONE}"),
        ("open_to_the_public", "AWS::Serverless::Function", "{FunctionUrlConfig: {AuthType: NONE}}"),
        (
            "not_encrypted",
            "AWS::SQS::Queue",
            "{SqsManagedSseEnabled: !If [Key, false, true], KmsMasterKeyId: !If [Other, !Ref K, !Ref AWS::NoValue]}",
        ),
        ("without_an_end", "AWS::Logs::LogGroup", "{}"),
        ("without_an_end", "AWS::Serverless::Function", "{}"),
        ("secrets_in_plain", "AWS::Serverless::Function", "{Environment: {Variables: {API_TOKEN: abc}}}"),
        ("not_recoverable", "AWS::DynamoDB::GlobalTable", "{Replicas: [{Region: eu-west-2}]}"),
        ("not_kept", "AWS::S3::Bucket", "{}"),
        ("fixed_names", "AWS::SQS::Queue", "{QueueName: events}"),
        ("fixed_names", "AWS::SQS::Queue", "{QueueName: !Sub 'events-${AWS::Region}'}"),
        ("fixed_names", "AWS::CloudFront::CachePolicy", "{CachePolicyConfig: {Name: objects}}"),
    ],
)
def test_each_rule_finds_what_it_is_for(rule: str, kind: str, properties: str) -> None:
    text = f"Resources: {{It: {{Type: '{kind}', Properties: {properties}}}}}"
    assert RULES[rule](stack_rules.read(text))


def test_a_secret_parameter_that_is_shown_is_found() -> None:
    assert stack_rules.secrets_in_plain(stack_rules.read("Parameters: {AdminPassword: {Type: String}}"))
    hidden = "Parameters: {AdminPassword: {Type: String, NoEcho: true}}"
    assert stack_rules.secrets_in_plain(stack_rules.read(hidden)) == []


# Who may do what: docs/security.md has a row for each action of each role, and what is granted is what the code calls.


def granted() -> set[tuple[str, str]]:
    """(function or role, action) of every Allow that is not a trust or a resource's own policy."""
    found: set[tuple[str, str]] = set()
    for document in DOCUMENTS.values():
        for name, properties in stack_rules.of_type(document, "AWS::Serverless::Function", "AWS::IAM::Role").items():
            for statement in stack_rules.statements(properties.get("Policies", [])):
                found |= {(name, action) for action in statement.actions()}
    return found


def rows() -> Iterator[tuple[str, str, str]]:
    """(function or role, action, why) of the table; a row may name several functions, and several actions."""
    for who, actions, why in re.findall(
        r"^\| (`\w+Function`.*?|`\w+Role`.*?) \| (`.*?) \| (.+?) \|$", SECURITY, re.MULTILINE
    ):
        for name in re.findall(r"`(\w+)`", who):
            for action in re.findall(r"`([\w:*-]+)`", actions):
                yield name, action, why


def test_the_documentation_says_why_of_every_right_and_of_no_other() -> None:
    told = list(rows())
    assert {(name, action) for name, action, _ in told} == granted()
    assert len({(name, action) for name, action, _ in told}) == len(told), "a right stands twice"
    assert all(len(why.split()) > 2 for _, _, why in told)


_OPERATION = {
    "dynamodb": r'"{Word}"|"{snake}"|DynamoDB_20120810\.{Word}|call\("{Word}"|\b{snake}\(',
    "sqs": r"AmazonSQS\.{Word}|\.{snake}\(",
    "sts": r"\.{snake}\(|Action={Word}|{Word}",
    "secretsmanager": r"\.{snake}\(",
    "ssm": r"\.{snake}\(",
    "cloudwatch": r"\.{snake}\(",
    "cloudfront-keyvaluestore": r"\.{snake}\(",
}
# Where IAM's word is not the operation's: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html
_CALLED = {
    "s3:ListBucketVersions": "list_object_versions|versions",
    "s3:GetReplicationConfiguration": "get_bucket_replication",
    "s3:GetBucketVersioning": "get_bucket_versioning|versioning",
    "s3:GetObjectTagging": "get_object_tagging",
    "s3:GetObjectVersionTagging": "get_object_tagging",
    "s3:PutObjectTagging": "Tagging",
    "s3:CreateJob": "create_job",
    "s3:DescribeJob": "describe_job",
    "s3:GetMultiRegionAccessPointRoutes": "get_multi_region_access_point_routes",
    "s3:ListMultiRegionAccessPoints": "list_multi_region_access_points",
    "s3:AbortMultipartUpload": "abort_multipart_upload|uploadId",
    "s3:CreateBucket": "create_bucket|put_bucket",
    "s3:DeleteBucket": "delete_bucket",
}


def reached(function: str) -> str:
    """The source of everything that a function may import of this checkout, at whatever time."""
    modules = {module_name(path): path for path in python_files("layers")}
    folder = ROOT / "functions" / function
    waiting, seen = list(folder.rglob("*.py")), set[Path]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        waiting += [modules[name] for name in imported(path) if name in modules and modules[name] not in seen]
    return "\n".join(path.read_text() for path in sorted(seen) if path != LAYER / "nearside" / "openapi.py")


def _folder(resource: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", resource.removesuffix("Function")).lower()


def test_whatever_a_function_may_do_some_code_that_it_can_reach_does() -> None:
    unused = []
    for name in sorted({name for name, _ in granted() if name.endswith("Function")}):
        text = reached(_folder(name))
        for action in sorted(action for who, action in granted() if who == name):
            space, word = action.split(":")
            snake = re.sub(r"(?<!^)([A-Z])", r"_\1", word).lower()
            pattern = _OPERATION[space].format(Word=word, snake=snake) if space in _OPERATION else _CALLED.get(action)
            if pattern and not re.search(pattern, text):
                unused.append(f"{name}: {action}")
    assert unused == []
