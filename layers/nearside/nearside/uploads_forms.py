"""Forms that a browser may post to a bucket: S3's POST policy, signed with SigV4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import hmac
import json
from datetime import UTC, datetime

from nearside import signing
from nearside.places import Place

SERVICE = "s3"


def signed_fields(
    place: Place,
    key: str,
    content_type: str,
    max_bytes: int,
    credentials: signing.Credentials,
    now: float,
    seconds: int,
) -> dict[str, str]:
    """The fields of a form that takes exactly this key and type, and at most so many bytes, for so long. The file comes
    after them. (An access point takes no forms: they have no SigV4A.)"""
    signer = signing.V4(credentials, now, place.region)
    fields = {
        "key": key,
        "Content-Type": content_type,
        "success_action_status": "201",
        "x-amz-algorithm": signer.algorithm,
        "x-amz-credential": f"{credentials.access_key_id}/{signer.scope}",
        "x-amz-date": signer.timestamp,
    }
    if credentials.session_token:
        fields["x-amz-security-token"] = credentials.session_token
    end = datetime.fromtimestamp(int(now) + seconds, UTC)
    policy = {
        "expiration": end.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "conditions": [
            {"bucket": place.bucket},
            ["content-length-range", 0, max_bytes],
            *({name: value} for name, value in fields.items()),
        ],
    }
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    key_of_the_day = signing.v4_key(credentials.secret_access_key, signer.timestamp[:8], place.region, SERVICE)
    fields["x-amz-signature"] = hmac.digest(key_of_the_day, fields["policy"].encode(), "sha256").hex()
    return fields
