"""`POST /presign` as it is usually written: Powertools' HTTP resolver and boto3's client, signing for the same MRAP."""

import os
from typing import Any

import boto3
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

s3 = boto3.client("s3")
app = APIGatewayHttpResolver()


@app.post("/presign")
def presign() -> dict[str, Any]:
    """The URL for the key in the body."""
    asked = app.current_event.json_body
    url = s3.generate_presigned_url(
        "get_object", Params={"Bucket": os.environ["MRAP_ARN"], "Key": asked["key"]}, ExpiresIn=3600
    )
    return {"key": asked["key"], "url": url, "method": "GET"}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Resolves the route and answers."""
    return app.resolve(event, context)
