"""What a newcomer finds in this world's gateway: an access key, always the same one, and a bucket."""

import time
from collections.abc import Mapping
from typing import Any

import boto3

from local.deployment import PRIMARY
from local.identities import Identity
from local.providers import SECRET
from local.tables import put_item
from nearside.adapters.access_keys import AccessKeys
from nearside.gateway.access_keys import ACTIONS, KeyRule, StoredKey, access_key

_ID = "NEARSIDELOCALWORLD22"
_RULES = (KeyRule(buckets=("*",), actions=ACTIONS),)


def key_pair() -> Identity:
    """The key with its secret, which follows from the world's gateway secret."""
    key = access_key(_stored(), SECRET)
    return Identity(key.id, key.secrets[0].text)


def put_key() -> None:
    """Makes it known to the gateway."""
    AccessKeys(_Table(), SECRET).add(_stored())


def make_bucket(gateway_url: str, name: str = "demo") -> None:
    """Makes the bucket, as any client would. Raises ClientError."""
    pair = key_pair()
    client = boto3.client(
        "s3",
        endpoint_url=gateway_url,
        region_name="us-east-1",
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
    )
    client.create_bucket(Bucket=name)


class _Table:
    """The catalog's, as far as it is needed, without HTTP and a signature."""

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert operation == "PutItem"
        put_item(PRIMARY, request["Item"])
        return {}


def _stored() -> StoredKey:
    return StoredKey(id=_ID, rules=_RULES, created=int(time.time()), description="the local world's own")
