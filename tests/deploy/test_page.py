"""The page in AWS: what it may speak to, who lets it in, and its files: after any kill CloudFront has what is there."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from deploy import page_files
from deploy.parameters import Later, of_application, of_page, of_rules, page_stack
from deploy.running import Run
from deploy.settings import BadDeploySettings, Settings, parse
from deploy.settings_checks import MAX_ORIGINS_BYTES
from local import explorer_page
from local.intrinsics import Resolver, load_yaml
from tests.contract.source_tree import ROOT
from tests.deploy.fakes import PAGE_ORIGIN, Killed, Killing, When, settings
from tests.deploy.test_running import WHENS, calls_of, deployed, destroy, killed_and_resumed, run_over
from tests.deploy.world import FILE, World

TEMPLATE = load_yaml((ROOT / "stacks" / "page.yaml").read_text())
PAGE = {"enabled": True, "client_id": "page"}
API = "https://a1.execute-api.eu-west-2.amazonaws.com"
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
MOST_OF_A_POLICY = 1783
OWN = {"'self'", "data:", "blob:"}


def policy(of: Settings) -> str:
    """The Content-Security-Policy that a deployment of the settings has."""
    outputs = {("acme", "eu-west-2"): {"ApiUrl": API}, ("acme-global", "eu-west-2"): {"MrapAlias": "abc.mrap"}}
    given = {name: str(value) for name, value in of_page(of, outputs).items()}
    headers = TEMPLATE["Resources"]["PageHeaders"]["Properties"]["ResponseHeadersPolicyConfig"]
    found = Resolver(TEMPLATE, given, "eu-west-2").resolve(headers)
    return str(found["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"])


def allowed(said: str, directive: str) -> set[str]:
    """What a browser lets a directive have."""
    directives = {name: set(rest) for name, *rest in (each.split() for each in said.split(";"))}
    return directives[directive] if directive in directives else directives["default-src"]


def test_it_may_do_what_the_local_one_may_and_speak_to_its_api_its_buckets_and_its_sign_in_only() -> None:
    of = settings(page={**PAGE, "origins": ["https://tokens.example.com"]})
    here, there = explorer_page.content_security_policy(["https://x.example"]), policy(of)
    for each in ("script", "style", "font", "object", "manifest"):
        assert allowed(there, f"{each}-src") == allowed(here, f"{each}-src"), each
    for each in ("base-uri", "form-action", "frame-ancestors"):
        assert allowed(there, each) == {"'none'"}
    hosts = {f"https://{each['bucket']}.s3.{each['region']}.amazonaws.com" for each in FILE["regions"]}
    others = {API, "https://abc.mrap.accesspoint.s3-global.amazonaws.com", "https://example.com"}
    for each in ("img", "media", "frame", "connect"):
        assert allowed(here, f"{each}-src") - OWN == {"https://x.example"}
        assert allowed(there, f"{each}-src") - OWN == hosts | others | {"https://tokens.example.com"}
    assert "unsafe" not in there


def test_the_longest_policy_is_one_that_cloudfront_takes() -> None:
    regions = [{"region": f"ap-southeast-{number}", "bucket": "b" * 62 + str(number)} for number in range(1, 9)]
    page = {**PAGE, "origins": ["https://" + "a" * (MAX_ORIGINS_BYTES - 12) + ".com"]}
    of = settings(regions=regions, page=page, api={"issuer": "https://" + "a" * 60 + ".example.com/realm"})
    assert len(policy(of)) <= MOST_OF_A_POLICY


def test_its_headers_are_the_local_ones() -> None:
    said = json.dumps(TEMPLATE["Resources"]["PageHeaders"])
    page = explorer_page.ExplorerPage(lambda request: pytest.fail("asked"), dict, list)
    for name, value in page._headers():
        known = {"X-Content-Type-Options": "ContentTypeOptions", "Content-Security-Policy": "ContentSecurityPolicy"}
        assert known.get(name, name.replace("Referrer-Policy", "ReferrerPolicy")) in said
        assert name in known or value in said


def test_the_files_have_the_types_of_the_local_ones() -> None:
    assert page_files.TYPES | {".ts": explorer_page._TYPES[".ts"]} == explorer_page._TYPES
    files = page_files.read(ROOT)
    assert files.keys() >= {"index.html", "app.js", "client.js", "gallery/index.html"}
    assert not {"config.json", "api.d.ts"} & files.keys()


def test_config_json_says_what_the_page_reads() -> None:
    documented = (ROOT / "docs" / "page.md").read_text()
    found = page_files.config(settings(), API)
    assert found == {
        "name": "Nearside", "api": API, "world": None,
        "auth": {"mode": "jwt", "issuer": "https://example.com", "client_id": "page", "scope": "openid",
                 "token": "access_token"},
    }  # fmt: skip
    [example] = re.findall(r"```json\n(.*?)```", documented, re.DOTALL)
    assert json.loads(example).keys() == found.keys()


# its files


def test_its_files_are_put_once_and_then_left_alone() -> None:
    world = World()
    assert "create   the page's files: 3" in run_over(world).plan().lines
    deployed(world)
    assert world.files.keys() == {"app/index.html", "app/app.js", "app/config.json", "release"}
    assert world.seen == {key: each for key, each in world.files.items() if key != "release"}
    assert "nothing  the page's files" in run_over(world).plan().lines
    said = list[str]()
    replace(run_over(world), say=said.append).deploy()
    assert said[-1] == "page files: nothing to do"


def test_what_differs_is_put_and_what_is_gone_taken_away() -> None:
    world = deployed()
    world.files |= {"app/old.js": "1", "app/index.html": "2"}
    assert "update   the page's files: 1 to put: index.html; 1 to take away: old.js" in run_over(world).plan().lines
    assert deployed(world).files == deployed().files
    other = settings(page={**PAGE, "client_id": "another"})
    assert "update   the page's files: 1 to put: config.json" in run_over(world, of=other).plan().lines


@pytest.mark.parametrize("when", WHENS)
def test_killed_at_every_call_cloudfront_ends_with_the_new_files(when: When) -> None:
    updated = killed_and_resumed(Run.deploy, deployed(), [], "2")
    assert updated.files != deployed().files
    for at in range(calls_of(Run.deploy, deployed(), "2")):
        world = killed_and_resumed(Run.deploy, deployed(), [(at, when)], "2")
        assert (world.files, world.seen) == (updated.files, updated.seen), at


def test_killed_before_cloudfront_is_told_it_is_told_by_the_next_run() -> None:
    killing = Killing()
    run_over(deployed(), killing, source="2").deploy()
    world = deployed()
    with pytest.raises(Killed):  # the last calls are: put, tell, write down that it was told
        run_over(world, Killing(killing.calls - 2), source="2").deploy()
    old = dict(world.seen)
    assert "update   the page's files: CloudFront is told to look again" in run_over(world, source="2").plan().lines
    run_over(world, source="2").deploy()
    assert world.seen != old


def test_a_destruction_empties_its_bucket_first() -> None:
    world = deployed()
    assert world.stacks["acme-bucket", "us-east-2"].parameters["CorsOrigins"] == PAGE_ORIGIN
    destroy(run_over(world))
    assert (world.files, world.stacks, world.wrong) == ({}, {}, [])


# who lets it in


def test_the_buckets_let_it_in_when_it_is_there_and_its_name_is_known_beforehand() -> None:
    of = settings(buckets={"cors_origins": ["https://a.example"]})
    stack = page_stack(of)
    assert of_rules(of, of.primary, {})["CorsOrigins"] == Later(stack, "PageOrigin")
    given = of_rules(of, of.primary, {stack: {"PageOrigin": PAGE_ORIGIN}})
    assert given["CorsOrigins"] == f"https://a.example,{PAGE_ORIGIN}"
    named = settings(page={**PAGE, "domain": "a.example.com", "certificate": CERTIFICATE})
    assert of_rules(named, named.primary, {})["CorsOrigins"] == "https://a.example.com"
    without = settings(page={})
    assert of_rules(without, without.primary, {})["CorsOrigins"] == ""


def test_the_api_lets_it_in_where_it_names_origins() -> None:
    api = {"issuer": "https://example.com", "origins": ["https://a.example"]}
    page = {**PAGE, "domain": "a.example.com", "certificate": CERTIFICATE}
    named = settings(api=api, page=page)
    assert of_application(named, named.primary, {})["AllowedOrigins"] == "https://a.example,https://a.example.com"
    assert of_application(settings(), settings().primary, {})["AllowedOrigins"] == "*"


CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"page": {"enabled": True}}, "page.client_id is ''; expected the page's name at the issuer"),
        ({"api": {"auth": "iam"}}, "api.auth is 'iam'; expected jwt with page.enabled"),
        ({"api": {"issuer": "https://a;script-src.example.com"}}, "api.issuer is .* expected an address of letters"),
        ({"api": {"issuer": "https://example.com", "origins": ["https://a.example"]}}, "api.origins is .*page.domain"),
        ({"page": {**PAGE, "origins": ["https://a.example/b"]}}, "page.origins is .* expected an origin such as"),
        ({"page": {**PAGE, "origins": ["https://a.example; script-src *"]}}, "page.origins is"),
        ({"page": {**PAGE, "origins": [f"https://a{n}.example.com" for n in range(20)]}}, "300 bytes at most"),
        ({"page": {**PAGE, "domain": "a.example.com"}}, "page.certificate is ''; expected given together with domain"),
        (
            {"page": {**PAGE, "domain": "a.example.com", "certificate": CERTIFICATE.replace("east-1", "west-2")}},
            "expected the ARN of an ACM certificate of us-east-1",
        ),
        ({"page": {**PAGE, "zone": "Z1"}}, "page.zone is 'Z1'; expected empty without domain"),
        ({"page": {**PAGE, "web_acl": "arn"}}, "page.web_acl is 'arn'; expected the ARN of a web ACL"),
        ({"page": {**PAGE, "token": "refresh_token"}}, "page.token: Invalid enum value"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_its_settings_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDeploySettings, match=words):
        parse(FILE | changed, ROOT)
