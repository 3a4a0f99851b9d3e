"""The operations on buckets, and the one answer about who owns what: the gateway has a single owner."""

import re
from collections.abc import Sequence

from nearside.gateway import s3_headers, s3_xml
from nearside.gateway.answers import Answer, xml, xml_of
from nearside.gateway.calls import Call, Core, found
from nearside.gateway.errors import InvalidArgument, MalformedXml, NotSupported
from nearside.gateway.s3_times import xml_time

OWNER: Sequence[tuple[str, s3_xml.Content]] = (("ID", "nearside"), ("DisplayName", "nearside"))
_MAX_BUCKETS = 10_000
_REGION = re.compile(r"[A-Za-z0-9-]{2,32}")
_ACL = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<AccessControlPolicy xmlns="{s3_xml.NAMESPACE}">'
    "<Owner><ID>nearside</ID><DisplayName>nearside</DisplayName></Owner><AccessControlList><Grant>"
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
    "<ID>nearside</ID><DisplayName>nearside</DisplayName></Grantee><Permission>FULL_CONTROL</Permission>"
    "</Grant></AccessControlList></AccessControlPolicy>"
).encode()


def list_buckets(core: Core, call: Call) -> Answer:
    """ListBuckets: those in which the caller may do anything at all."""
    parameters = call.parameters
    prefix, after = parameters.get("prefix", ""), parameters.get("continuation-token", "")
    limit = s3_headers.number(parameters, "max-buckets", _MAX_BUCKETS, least=1, most=_MAX_BUCKETS)
    region = parameters.get("bucket-region", "")
    seen = [
        bucket
        for bucket in sorted(core.buckets.list(), key=lambda each: each.name)
        if bucket.name.startswith(prefix) and bucket.name > after and call.access.sees(bucket.name)
    ]
    if region and region != (core.region or "us-east-1"):
        seen = []
    page = seen[:limit]
    buckets = [("Bucket", [("Name", each.name), ("CreationDate", xml_time(each.made))]) for each in page]
    content: list[tuple[str, s3_xml.Content]] = [("Owner", OWNER), ("Buckets", buckets)]
    if len(seen) > limit:
        content.append(("ContinuationToken", page[-1].name))
    return xml("ListAllMyBucketsResult", [*content, *([("Prefix", prefix)] if prefix else [])])


def create_bucket(core: Core, call: Call) -> Answer:
    """CreateBucket, in every place."""
    call.check("admin")
    body, _ = call.body()
    if body:
        _check_configuration(s3_xml.read(body, "CreateBucketConfiguration"))
    core.buckets.create(call.bucket)
    return Answer(headers={"location": f"/{call.bucket}"})


def head_bucket(core: Core, call: Call) -> Answer:
    """HeadBucket."""
    call.check_sees()
    core.buckets.check(call.bucket)
    return Answer(headers={"x-amz-bucket-region": core.region} if core.region else {})


def delete_bucket(core: Core, call: Call) -> Answer:
    """DeleteBucket."""
    call.check("admin")
    core.buckets.check(call.bucket)
    core.buckets.delete(call.bucket)
    return Answer(status=204)


def get_bucket_location(core: Core, call: Call) -> Answer:
    """GetBucketLocation; nothing means us-east-1."""
    call.check_sees()
    core.buckets.check(call.bucket)
    return xml("LocationConstraint", core.region if core.region != "us-east-1" else "")


def get_bucket_versioning(core: Core, call: Call) -> Answer:
    """GetBucketVersioning: it was never on. The places' versions are the gateway's own."""
    call.check_sees()
    core.buckets.check(call.bucket)
    return xml("VersioningConfiguration", [])


def get_bucket_acl(core: Core, call: Call) -> Answer:
    """GetBucketAcl: everything is the one owner's, and access keys have rules of their own."""
    call.check_sees()
    core.buckets.check(call.bucket)
    return xml_of(_ACL)


def get_object_acl(core: Core, call: Call) -> Answer:
    """GetObjectAcl: the same."""
    call.check("read")
    found(core, call, call.bucket, call.key)
    return xml_of(_ACL)


def _check_configuration(root: s3_xml.Element) -> None:
    """Where the bucket is to be is the configuration of the gateway, not the caller's to say; a name that can be no
    region's is refused all the same."""
    for child in root.children:
        if child.name in ("Location", "Bucket", "Tags"):
            raise NotSupported(f"{child.name} of a CreateBucketConfiguration is not supported by this gateway")
        if child.name != "LocationConstraint":
            raise MalformedXml(f"A CreateBucketConfiguration has no {child.name!r}")
        if child.text and not _REGION.fullmatch(child.text):
            raise InvalidArgument(f"The specified location-constraint is not valid: {child.text!r}")
