"""The catalog's table by boto3: one client per region, made when it is first needed; errors as this house has them."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors
from nearside.places import Place
from nearside.signing import Credentials

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

log = logging.getLogger("nearside")

CONNECT_SECONDS = 1
READ_SECONDS = 3
ATTEMPTS = 3
CONNECTIONS = 32

type Value = str | int | bool
type Attributes = Mapping[str, Mapping[str, Any]]


class Changed(Exception):
    """A condition did not hold; `item` is what stands (empty: nothing does)."""

    def __init__(self, item: Attributes) -> None:
        super().__init__("the condition did not hold")
        self.item = item


class Tables:
    """The table's replicas in `regions`. Thread-safe. `places` has the primary first; `endpoint` is an emulation of
    all regions' DynamoDB, empty for AWS.

    A record about a place lives in the place's region, and in the primary's for a place in a region without a replica,
    such as one outside AWS.
    """

    def __init__(
        self,
        table: str,
        places: Sequence[Place],
        regions: Collection[str],
        credentials: Callable[[], Credentials],
        endpoint: str = "",
    ) -> None:
        self.name = table
        self.bucket = places[0].bucket
        self.primary_region = places[0].region
        self._homes = {place.name: place.region if place.region in regions else self.primary_region for place in places}
        self._credentials = credentials
        self._endpoint = endpoint
        self._lock = Lock()
        self._down: dict[str, str] | None = None
        self._clients: dict[str, tuple[Credentials, DynamoDBClient]] = {}

    def home(self, place: str) -> str:
        """The region where records about the place live."""
        return self._homes[place]

    @contextmanager
    def asking_once(self) -> Iterator[None]:
        """In it, a region that did not answer is not asked again: a batch does not wait for it with every message."""
        self._down = {}
        try:
            yield
        finally:
            self._down = None

    def call(self, region: str, operation: str, **arguments: Any) -> Any:
        """The answer of an operation (`update_item`) on the table in that region.

        Raises Changed when a condition did not hold, Refused, BadSettings when there is no such table, Unreachable for
        everything that says nothing of the record: throttling, a 5xx, no answer in time.
        """
        down = self._down
        if down is not None and region in down:
            raise errors.Unreachable(down[region])
        if operation not in ("batch_get_item", "batch_write_item"):
            arguments["TableName"] = self.name
        try:
            return getattr(self._client(region), operation)(**arguments)
        except ClientError as error:
            details: Any = error.response.get("Error", {})
            code = details.get("Code", "")
            if code == "ConditionalCheckFailedException":
                answer: Any = error.response
                raise Changed(answer.get("Item", {})) from error
            # DynamoDB's own words name the table's ARN and the role: they are for the log, not for whoever asked.
            log.warning("the catalog in %s answered %s to %s: %s", region, code, operation, details.get("Message", ""))
            raise errors.from_dynamodb(code, f"the catalog in {region} answered {code}") from error
        except BotoCoreError as error:
            message = f"the catalog in {region} cannot be reached: {error}"
            if down is not None:
                down[region] = message
            raise errors.Unreachable(message) from error

    def query(self, region: str, **arguments: Any) -> Iterable[Any]:
        """The pages of a Query, one after the other, as `call` gives each."""
        while True:
            page = self.call(region, "query", **arguments)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _client(self, region: str) -> "DynamoDBClient":
        credentials = self._credentials()
        with self._lock:
            known = self._clients.get(region)
            if known and known[0] == credentials:
                return known[1]
            client: DynamoDBClient = boto3.Session(region_name=region).client(
                "dynamodb",
                endpoint_url=self._endpoint or None,
                aws_access_key_id=credentials.access_key_id,
                aws_secret_access_key=credentials.secret_access_key,
                aws_session_token=credentials.session_token or None,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=READ_SECONDS,
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                    max_pool_connections=CONNECTIONS,
                    # Else botocore makes the account a part of the host's name where it knows it.
                    account_id_endpoint_mode="disabled",
                ),
            )
            self._clients[region] = (credentials, client)
            return client


def encoded(values: Mapping[str, Value]) -> dict[str, dict[str, Any]]:
    """Values as DynamoDB types them."""
    return {name: _encoded(value) for name, value in values.items()}


def _encoded(value: Value) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"N": str(value)} if isinstance(value, int) else {"S": value}


def decoded(item: Attributes) -> dict[str, Any]:
    """An item's strings, whole numbers and flags as Python has them."""
    found: dict[str, Any] = {}
    for name, typed in item.items():
        [(kind, value)] = typed.items()
        found[name] = int(value) if kind == "N" else value
    return found
