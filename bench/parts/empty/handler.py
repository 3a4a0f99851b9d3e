"""The least a function can be: what the runtime itself costs."""


def handler(event: dict[str, object], context: object) -> dict[str, object]:
    """Answers 200 with nothing."""
    return {"statusCode": 200, "body": "{}"}
