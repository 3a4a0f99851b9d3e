"""S3's control plane for Multi-Region Access Points, which lives in us-west-2 whatever the buckets' regions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors
from nearside.adapters.s3 import error_of
from nearside.mrap import Member, MrapReport
from nearside.places import split_endpoint
from nearside.signing import Credentials

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html; botocore does not reroute by itself.
CONTROL_REGION = "us-west-2"
# The only ones that know routes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html
ROUTE_REGIONS = ("us-west-2", "eu-west-1", "us-east-1", "ap-northeast-1", "ap-southeast-2")
_SECONDS = 10


class Control:
    """The control plane of the credentials' account. `endpoint` is an emulation's address, empty for AWS."""

    def __init__(self, credentials: Callable[[], Credentials], endpoint: str = "") -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._account = ""

    def ask[T](self, region: str, ask: Callable[[Any, str], T]) -> T:
        """What `ask` gets from a client of the region and the account's number. Raises an error of our own tree."""
        try:
            if not self._account:
                self._account = self._client("sts", region).get_caller_identity()["Account"]
            return ask(self._client("s3control", region), self._account)
        except ClientError as error:
            raise error_of(region, error) from error
        except BotoCoreError as error:  # its own words name the host, which has the account's number
            why = f"the control plane in {region} cannot be reached ({type(error).__name__})"
            raise errors.Unreachable(why) from error

    def _client(self, service: str, region: str) -> Any:
        credentials = self._credentials()
        client: Any = cast(Any, boto3).client(  # the stubs know one overload per service, not a name that varies
            service,
            region_name=region,
            endpoint_url=self._endpoint or None,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token or None,
            config=Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 2}),
        )
        if self._endpoint:
            client.meta.events.register("before-send.s3-control", self._without_account)
        return client

    def _without_account(self, request: Any, **_: Any) -> None:
        """boto3 puts the account before the host (`123456789012.localhost`), where an emulation does not answer; the
        account is in a header too."""
        scheme, host, _path = split_endpoint(self._endpoint)
        _, _, rest = request.url.partition("://")
        request.url = f"{scheme}://{host}/{rest.partition('/')[2]}"


class Mraps:
    """Lists the MRAPs of the account; implements `nearside.mrap.ListsMraps`."""

    def __init__(self, credentials: Callable[[], Credentials], endpoint: str = "") -> None:
        self._control = Control(credentials, endpoint)

    def __call__(self) -> Sequence[MrapReport]:
        def listed(control: Any, account: str) -> list[MrapReport]:
            found: list[MrapReport] = []
            more: dict[str, str] = {}
            while True:  # botocore has no paginator for this one
                page = control.list_multi_region_access_points(AccountId=account, **more)
                found += [_report(each) for each in page["AccessPoints"]]
                if not page.get("NextToken"):
                    return found
                more = {"NextToken": page["NextToken"]}

        return self._control.ask(CONTROL_REGION, listed)


class Routes:
    """The traffic dials of an MRAP; implements `nearside.mrap.ReadsRoutes`."""

    def __init__(self, credentials: Callable[[], Credentials], endpoint: str = "") -> None:
        self._control = Control(credentials, endpoint)

    def __call__(self, alias: str) -> Mapping[str, int]:
        def dials(control: Any, account: str) -> dict[str, int]:
            arn = f"arn:aws:s3::{account}:accesspoint/{alias}"
            routes = control.get_multi_region_access_point_routes(AccountId=account, Mrap=arn)["Routes"]
            return {route["Bucket"]: route["TrafficDialPercentage"] for route in routes}

        failure: errors.NearsideError | None = None
        for region in ROUTE_REGIONS:
            try:
                return self._control.ask(region, dials)
            except errors.Unreachable as error:  # one region may be down, and the answer is the same everywhere
                failure = failure or error
        raise failure or errors.Unreachable("no region tells the routes")


def _report(each: Any) -> MrapReport:
    members = [Member(region=r.get("Region", ""), bucket=r.get("Bucket", "")) for r in each.get("Regions", ())]
    return MrapReport(
        name=each.get("Name", ""),
        alias=each.get("Alias", ""),
        status=each.get("Status", ""),
        created_at=each.get("CreatedAt"),
        members=members,
    )
