"""Browsers' forms: the file and the policy that a POST to a bucket carries, checked as S3 checks them.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from local.claims import HMAC, Claim
from local.identities import Identities
from local.operations import Address
from local.s3_errors import S3Error, access_denied
from local.server import Request, Response
from local.signatures import Verified, check_region

# What need not be in the policy.
_FREE = ("policy", "x-amz-signature", "file")
_PARAMETER = re.compile(r'\b(name|filename)="([^"]*)"')
_HEADERS = ("content-type", "content-disposition", "cache-control", "content-encoding", "expires")


@dataclass(frozen=True, slots=True)
class Posted:
    """A form that may be: the PUT that it comes to, where, who signed it, and the status that it asked for."""

    put: Request
    where: Address
    verified: Verified
    status: int


def posted(request: Request, where: Address, identities: Identities, region: str) -> Posted:
    """The form of the request. Raises S3Error."""
    fields, name, body = _fields(request)
    if "key" not in fields or body is None:
        missing = "key" if "key" not in fields else "file"
        message = f"Bucket POST must contain a field named '{missing}'.  If it is specified, please check the order."
        raise S3Error(400, "InvalidArgument", message, {"ArgumentName": missing, "ArgumentValue": ""})
    verified = _verified(fields, identities, region)
    # "All variables within the form are expanded prior to validating the POST policy"
    # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/HTTPPOSTForms.html).
    key = fields["key"].replace("${filename}", name)
    _check_policy({**fields, "key": key}, where.bucket, len(body))
    kept = {field: value for field, value in fields.items() if field in _HEADERS or field.startswith("x-amz-meta-")}
    target = f"/{quote(where.bucket)}/{quote(key)}"
    headers = (("Host", request.header("Host")), *kept.items(), ("Content-Length", str(len(body))))
    status = int(fields.get("success_action_status", "204"))
    put = Request("PUT", target, headers, body, request.client)
    return Posted(put, Address(where.bucket, key), verified, status if status in (200, 201) else 204)


def created(form: Posted, request: Request, done: Response) -> Response:
    """The answer to a form, by the answer to its PUT."""
    if done.status != 200:
        return done
    location = f"http://{request.header('Host')}{form.put.target}"
    rows = {"Location": location, "Bucket": form.where.bucket, "Key": form.where.key, "ETag": done.header("ETag")}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in rows.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'.encode()
    answer = Response(form.status, done.headers, body if form.status == 201 else b"")
    return answer.adding((("Location", location), ("Content-Type", "application/xml")))


def _fields(request: Request) -> tuple[dict[str, str], str, bytes | None]:
    """The fields before the file by their names in lower case, the file's name, and its bytes (RFC 7578)."""
    boundary = re.search(r'boundary="?([^";]+)', request.header("Content-Type"))
    if boundary is None:
        raise S3Error(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed form data.")
    fields: dict[str, str] = {}
    for piece in (b"\r\n" + request.body).split(f"\r\n--{boundary[1]}".encode())[1:-1]:
        head, _, payload = piece.partition(b"\r\n\r\n")
        said = dict(_PARAMETER.findall(head.decode()))
        if said.get("name") == "file":  # what comes after it is not looked at
            return fields, said.get("filename", ""), payload
        fields[said.get("name", "").lower()] = payload.decode()
    return fields, "", None


def _verified(fields: Mapping[str, str], identities: Identities, region: str) -> Verified:
    scope = fields.get("x-amz-credential", "").split("/")
    if len(scope) != 5 or fields.get("x-amz-algorithm") != HMAC or not fields.get("policy"):
        raise access_denied()
    claim = Claim(
        source="query",
        algorithm=HMAC,
        access_key_id=scope[0],
        date=scope[1],
        region=scope[2],
        region_set="",
        signed_headers=(),
        signature=fields.get("x-amz-signature", ""),
        timestamp=fields.get("x-amz-date", ""),
        expires_seconds=None,
        token=fields.get("x-amz-security-token", ""),
    )
    check_region(claim, region)
    identity = identities.find(claim.access_key_id)
    if identity is None or identity.session_token != claim.token:
        message = "The AWS Access Key Id you provided does not exist in our records."
        raise S3Error(403, "InvalidAccessKeyId", message, {"AWSAccessKeyId": claim.access_key_id})
    key = f"AWS4{identity.secret_access_key}".encode()
    for step in (*scope[1:3], "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, fields["policy"].encode(), "sha256").hex(), claim.signature):
        message = "The request signature we calculated does not match the signature you provided."
        raise S3Error(403, "SignatureDoesNotMatch", message, {"StringToSign": fields["policy"]})
    return Verified(claim, identity)


def _check_policy(fields: Mapping[str, str], bucket: str, size: int) -> None:
    policy = json.loads(base64.b64decode(fields["policy"]))
    if datetime.now(UTC) > datetime.fromisoformat(policy["expiration"]):
        raise _refused("Policy expired.")
    values = {**fields, "bucket": bucket}
    said = {"bucket"}
    for condition in policy["conditions"]:
        kind, name, value = ("eq", *next(iter(condition.items()))) if isinstance(condition, dict) else condition
        if kind == "content-length-range":
            _check_size(size, int(name), int(value))
            continue
        name = name.removeprefix("$").lower()
        said.add(name)
        found = values.get(name, "")
        if not (found == value if kind == "eq" else found.startswith(value)):
            raise _refused(f"Policy Condition failed: {json.dumps(condition)}")
    extra = {name for name in fields if name not in said and name not in _FREE and not name.startswith("x-ignore-")}
    if extra:
        raise _refused(f"Extra input fields: {', '.join(sorted(extra))}")


def _check_size(size: int, least: int, most: int) -> None:
    if size > most:
        details = {"ProposedSize": str(size), "MaxSizeAllowed": str(most)}
        raise S3Error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", details)
    if size < least:
        details = {"ProposedSize": str(size), "MinSizeAllowed": str(least)}
        raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", details)


def _refused(why: str) -> S3Error:
    return access_denied(f"Invalid according to Policy: {why}")
