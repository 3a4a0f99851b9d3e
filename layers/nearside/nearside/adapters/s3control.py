"""S3's control plane for Multi-Region Access Points, which lives in us-west-2 whatever the buckets' regions."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from nearside import errors
from nearside.mrap import Member, MrapReport
from nearside.places import split_endpoint
from nearside.signing import Credentials

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/MrapOperations.html; botocore does not reroute by itself.
CONTROL_REGION = "us-west-2"
_SECONDS = 10


class Mraps:
    """Lists the MRAPs of the credentials' account; implements `nearside.mrap.ListsMraps`. `endpoint` is an emulation's
    address, empty for AWS."""

    def __init__(self, credentials: Callable[[], Credentials], endpoint: str = "") -> None:
        self._credentials = credentials
        self._endpoint = endpoint

    def __call__(self) -> Sequence[MrapReport]:
        try:
            account = self._client("sts").get_caller_identity()["Account"]
            control = self._client("s3control")
            found: list[MrapReport] = []
            more: dict[str, str] = {}
            while True:  # botocore has no paginator for this one
                page = control.list_multi_region_access_points(AccountId=account, **more)
                found += [_report(each) for each in page["AccessPoints"]]
                if not page.get("NextToken"):
                    return found
                more = {"NextToken": page["NextToken"]}
        except ClientError as error:
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            message = f"{CONTROL_REGION} answered {details.get('Code')}: {details.get('Message')}"
            raise errors.from_s3(details.get("Code", ""), status, message) from error
        except BotoCoreError as error:
            raise errors.Unreachable(f"the control plane in {CONTROL_REGION} cannot be reached: {error}") from error

    def _client(self, service: str) -> Any:
        credentials = self._credentials()
        client: Any = cast(Any, boto3).client(  # the stubs know one overload per service, not a name that varies
            service,
            region_name=CONTROL_REGION,
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


def _report(each: Any) -> MrapReport:
    members = [Member(region=r.get("Region", ""), bucket=r.get("Bucket", "")) for r in each.get("Regions", ())]
    return MrapReport(
        name=each.get("Name", ""),
        alias=each.get("Alias", ""),
        status=each.get("Status", ""),
        created_at=each.get("CreatedAt"),
        members=members,
    )
