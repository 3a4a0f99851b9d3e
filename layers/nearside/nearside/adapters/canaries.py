"""Writing the monitor's canaries and taking them away, by boto3."""

from nearside.adapters.copies import Clients, content_md5, versioned
from nearside.places import Place


class CanaryWriter:
    """Implements `nearside.canary.WritesCanaries`."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def put(self, place: Place, key: str, body: bytes) -> str:
        md5 = content_md5(body)
        answer = self._clients.ask(
            place,
            lambda s3: s3.put_object(Bucket=place.bucket, Key=key, Body=body, ContentMD5=md5, ContentType="text/plain"),
        )
        return answer.get("VersionId", "null")

    def undo(self, place: Place, key: str, version: str) -> None:
        self._clients.ask(place, lambda s3: s3.delete_object(**versioned(place, key, version)))
