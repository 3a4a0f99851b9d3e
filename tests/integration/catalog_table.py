"""The catalog's table in moto's server, as template.yaml has it; in every region, for moto knows no global tables."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from nearside.adapters.tables import Tables
from nearside.places import Place
from nearside.signing import Credentials

TABLE = "nearside-catalog"
KEY = Credentials("AKIDEXAMPLE", "secret")


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def dynamodb() -> Iterator[str]:
    """The endpoint of a moto server on a free port.

    One request at a time: DynamoDB's writes to one item follow one another, while moto's UpdateItem puts an empty item
    first where there is none, and another thread sees it.
    """
    moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        with turn:
            return list(moto(environ, start_response))

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make(endpoint: str, places: Sequence[Place], table: str = TABLE) -> Tables:
    """A new, empty table in every region of the places, and the adapter on it."""
    for region in {place.region for place in places}:
        client: Any = client_of(endpoint, region)
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "PK", "AttributeType": "S"},
                {"AttributeName": "SK", "AttributeType": "S"},
                {"AttributeName": "work", "AttributeType": "S"},
                {"AttributeName": "due", "AttributeType": "N"},
            ],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "work",
                    "KeySchema": [
                        {"AttributeName": "work", "KeyType": "HASH"},
                        {"AttributeName": "due", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return Tables(table, places, [place.region for place in places], lambda: KEY, endpoint)


def client_of(endpoint: str, region: str) -> Any:
    """A plain client of a region's DynamoDB."""
    return boto3.client(
        "dynamodb",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=KEY.access_key_id,
        aws_secret_access_key=KEY.secret_access_key,
    )


def items(endpoint: str, region: str, table: str = TABLE) -> list[dict[str, Any]]:
    """Every item that a region's table has."""
    pages = client_of(endpoint, region).get_paginator("scan").paginate(TableName=table)
    return [item for page in pages for item in page["Items"]]
