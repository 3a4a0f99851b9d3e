"""What the gateway answers and what it refuses of S3, as docs/limits.md tells it."""

from collections.abc import Mapping

from nearside.gateway import providers
from nearside.gateway.s3_routes import COPIES, ROUTES

HEADING = "## Providers\n"

# Subresources as S3 has them in a query → why the gateway answers 501 to them.
REFUSED: Mapping[tuple[str, ...], str] = {
    ("versions", "versionId"): "a place's version ids are its own, and some have none; the gateway has one version",
    (
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "ownershipControls",
        "abac",
    ): "who may do what is told by the rules of access keys (`nearside keys`), in no place",
    ("object-lock", "legal-hold", "retention"): "not every provider can hold an object, so not all copies would be",
    ("lifecycle", "restore"): "an object that one place expires or moves away would be in the others still",
    ("encryption",): "each place encrypts as its own bucket says; `x-amz-server-side-encryption` is refused too",
    ("replication",): "that is what the gateway does; `BACKENDS` says where to",
    (
        "notification",
        "logging",
        "inventory",
        "metrics",
        "analytics",
        "intelligent-tiering",
        "metadataConfiguration",
        "metadataTable",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataAnnotationTable",
    ): "a place would tell of its own copies, not of the gateway's objects",
    ("cors",): "it is set on the Function URL, for all buckets",
    ("website", "accelerate", "requestPayment"): "they belong to a provider's own endpoint",
    ("select", "select-type", "torrent"): "not every provider has them, and AWS takes no new users",
    ("append", "renameObject", "annotation", "session"): "only directory buckets, or only AWS, have them",
}
# What a client may try, and no subresource tells.
ALSO_REFUSED: Mapping[str, str] = {
    "a browser's form upload (POST of a bucket)": "a presigned PUT does it",
    "`x-amz-server-side-encryption-*`, SSE-C too": "the gateway would have to keep the key to copy the object",
    "`x-amz-acl` but `private`, `x-amz-grant-*`": "see the rules of access keys",
    "`x-amz-storage-class` but `STANDARD`": "each provider has its own classes",
    "`x-amz-website-redirect-location`": "not every provider keeps it",
    "metadata that is not ASCII (400)": "providers keep it, encode it or refuse it; the SDKs encode it themselves",
    "a request over Lambda's 6 MB (413)": "multipart with parts that fit, or `POST /uploads`",
}


def section() -> str:
    """The last section of docs/limits.md, from its heading on."""
    names = sorted({*ROUTES.values(), *COPIES.values()})
    refused = [f"| {', '.join(f'`?{name}`' for name in each)} | {why} |" for each, why in REFUSED.items()]
    refused += [f"| {what} | {why} |" for what, why in ALSO_REFUSED.items()]
    return "\n".join([
        HEADING,
        "What each provider's S3 can do, and what the gateway makes of it; `?` is what nobody has looked up, and",
        "`nearside places check` tries. `nearside.gateway.limits` makes this section.",
        "",
        providers.table(),
        "### The gateway",
        "",
        f"Answered: {', '.join(names)}.",
        "",
        "Refused with 501, since it could not be done truly in every place, unless another status is told:",
        "",
        "| refused | why |",
        "|---|---|",
        *refused,
        "",
    ])  # fmt: skip
