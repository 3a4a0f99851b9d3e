"""The gateway, or the replicator with reconcile, as a process whose clock goes faster, so that leases end soon.

`hurried.py gateway --port N` or `hurried.py replicator <queue URL>`, with the functions' variables and BEGAN (seconds
since the epoch) and SPEED: the clock is right at BEGAN and goes SPEED times as fast. Timeouts of sockets and the pauses
of queues and breakers are not changed by it.
"""

import os
import sys
import time

_real, _began, _speed = time.time, float(os.environ["BEGAN"]), float(os.environ["SPEED"])
time.time = lambda: _began + (_real() - _began) * _speed

# Only now: some keep the function itself.
import threading  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

import boto3  # noqa: E402

from local import ROOT  # noqa: E402
from local.commands import main  # noqa: E402
from local.functions import LoadedFunction  # noqa: E402
from local.template import declared_parameters, read_template  # noqa: E402

LANES = 3
BATCH = 5
RECONCILE_SECONDS = 4.0
LIMIT_SECONDS = 900.0


def replicator(queue_url: str) -> None:
    """Takes messages as Lambda's event source mapping does, and runs reconcile now and then, for ever."""
    template = ROOT / "template.yaml"
    region = os.environ["AWS_REGION"]
    functions = read_template(template, declared_parameters(template, {"Backends": "here"}), region).functions
    mending, looking = (
        LoadedFunction(functions[f"{name}Function"], os.environ) for name in ("Replicator", "Reconcile")
    )
    for _ in range(LANES):
        threading.Thread(target=lane, args=(mending, queue_url), daemon=True).start()
    sys.stdout.write("replicator\n")
    sys.stdout.flush()
    while True:
        time.sleep(RECONCILE_SECONDS)
        try:
            looking.invoke({}, LIMIT_SECONDS)
        except Exception as error:  # noqa: BLE001 - a run may fail; the next one comes
            sys.stderr.write(f"reconcile: {error!r}\n")


def lane(function: LoadedFunction, queue_url: str) -> None:
    """One batch after the other."""
    sqs = boto3.session.Session().client("sqs", endpoint_url=os.environ["SQS_ENDPOINT"])
    while True:
        try:
            answer = sqs.receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=BATCH,
                WaitTimeSeconds=0,
                AttributeNames=["ApproximateReceiveCount"],
            )
            messages = answer.get("Messages", [])
            if not messages:
                time.sleep(0.05)
                continue
            failed = function.invoke({"Records": [record(each) for each in messages]}, LIMIT_SECONDS)
            again = {each["itemIdentifier"] for each in failed["batchItemFailures"]}
            for each in messages:
                if each["MessageId"] not in again:
                    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=each["ReceiptHandle"])
        except Exception as error:  # noqa: BLE001 - the messages come again
            sys.stderr.write(f"lane: {error!r}\n")
            time.sleep(0.2)


def record(message: Mapping[str, Any]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {"ApproximateReceiveCount": message["Attributes"]["ApproximateReceiveCount"]},
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-2:123456789012:chaos",
        "awsRegion": os.environ["AWS_REGION"],
    }


if __name__ == "__main__":
    if sys.argv[1] == "replicator":
        replicator(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))
