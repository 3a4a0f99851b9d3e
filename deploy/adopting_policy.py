"""The statements of ours in an adopted bucket's policy: those that stacks/bucket.yaml gives a bucket that it makes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.bucket_state import Part, is_ours

TLS_ONLY = "NearsideTlsOnly"
READERS = ("NearsideDistribution", "NearsideAccessIdentity", "NearsideRoute53HealthCheckers")
# What S3 tells of a role or user that is gone:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-bucket-user-policy-specifying-principal-intro.html
_GONE = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")


@dataclass(frozen=True, slots=True)
class Readers:
    """Who reads the bucket for the edge (docs/edge.md). Without `distribution` the edge is not deployed yet."""

    distribution: str = ""
    identity: str = ""
    probe_key: str = ""
    probe_addresses: tuple[str, ...] = ()


def statements(found: Part, bucket: str, tls_only: bool | None, readers: Readers | None) -> list[dict[str, Any]]:
    """Ours, as they are to be. What is not known (`tls_only` is None, the edge not deployed) is as it was found."""
    there = {each["Sid"]: each for each in (found or {}).get("Statement", []) if is_ours(each, "Sid")}
    others = [each for each in (found or {}).get("Statement", []) if not is_ours(each, "Sid")]
    ours = _tls_only(bucket)
    wants = TLS_ONLY in there if tls_only is None else tls_only
    chosen = [ours] if wants and not any(_is_tls_only(each, ours) for each in others) else []
    if readers is None:
        return chosen
    if not readers.distribution:
        return chosen + [there[name] for name in READERS if name in there]
    return [*chosen, *_reading(bucket, readers)]


def gone(found: Part) -> list[str]:
    """Statements that name a role or user that was deleted: S3 takes no policy with one."""
    return [
        str(each.get("Sid") or "(no Sid)")
        for each in (found or {}).get("Statement", [])
        if any(_GONE.fullmatch(name) for name in _aws(each))
    ]


def _aws(statement: Mapping[str, Any]) -> Iterable[str]:
    for kind in ("Principal", "NotPrincipal"):
        named = statement.get(kind)
        each = named.get("AWS", []) if isinstance(named, dict) else []
        yield from each if isinstance(each, list) else [each]


def _tls_only(bucket: str) -> dict[str, Any]:
    return {
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _is_tls_only(statement: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    resources = statement.get("Resource")
    named = set(resources if isinstance(resources, list) else [resources])
    alike = all(statement.get(key) == ours[key] for key in ("Effect", "Action", "Condition"))
    everybody = statement.get("Principal") in ("*", {"AWS": "*"})
    return alike and everybody and statement.keys() <= ours.keys() and set(ours["Resource"]) <= named


def _reading(bucket: str, readers: Readers) -> Iterable[dict[str, Any]]:
    distribution, identity, health = READERS
    reads = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    yield reads | {
        "Sid": distribution,
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Condition": {"StringEquals": {"AWS:SourceArn": readers.distribution}},
    }
    if readers.identity:
        yield reads | {"Sid": identity, "Principal": {"CanonicalUser": readers.identity}}
    if readers.probe_addresses:
        yield reads | {
            "Sid": health,
            "Principal": "*",
            "Resource": f"arn:aws:s3:::{bucket}/{readers.probe_key}",
            "Condition": {"IpAddress": {"aws:SourceIp": list(readers.probe_addresses)}},
        }
