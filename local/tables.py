"""The catalog's table in moto's DynamoDB.

One table stands in for the replicas of all regions: what is written through one region's endpoint is at once there for
the others. How far a global table's replicas lag behind each other is simulated in the tests, not here.
"""

from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from local.object_store import ACCOUNT

TABLE_NAME = "nearside"

# The catalog's keys (docs/architecture.md), for a template that has no table.
_DEFAULT: Mapping[str, Any] = {
    "AttributeDefinitions": [
        {"AttributeName": "PK", "AttributeType": "S"},
        {"AttributeName": "SK", "AttributeType": "S"},
        {"AttributeName": "work", "AttributeType": "S"},
        {"AttributeName": "due", "AttributeType": "N"},
    ],
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "work",
            "KeySchema": [
                {"AttributeName": "work", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
}


def create_table(properties: Mapping[str, Any] | None, region: str) -> None:
    """The table with the keys, indexes and time to live of the template's, empty. moto deletes nothing by its time to
    live."""
    properties = properties or _DEFAULT
    backend = dynamodb_backends[ACCOUNT][region]
    backend.create_table(
        TABLE_NAME,
        schema=[dict(key) for key in properties["KeySchema"]],
        throughput=None,
        attr=[dict(attribute) for attribute in properties["AttributeDefinitions"]],
        global_indexes=[_index(index) for index in properties.get("GlobalSecondaryIndexes") or ()],
        indexes=[],
        streams=None,
        billing_mode="PAY_PER_REQUEST",
        sse_specification=None,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    if "TimeToLiveSpecification" in properties:
        backend.update_time_to_live(TABLE_NAME, dict(properties["TimeToLiveSpecification"]))


def put_item(region: str, item: Mapping[str, Any]) -> None:
    """Puts the item (in DynamoDB's own JSON) into the table."""
    dynamodb_backends[ACCOUNT][region].put_item(TABLE_NAME, dict(item))


def empty_table(region: str) -> None:
    """Takes every item away but the gateway's access keys."""
    items = dynamodb_backends[ACCOUNT][region].get_table(TABLE_NAME).items
    for partition in [each for each in items if each.value != "GATEWAY-KEYS"]:
        del items[partition]


def _index(index: Mapping[str, Any]) -> dict[str, Any]:
    return {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
