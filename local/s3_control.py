"""S3 Control as far as moto lacks it: the access point's routes, and S3 Batch Replication jobs.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_AWS_S3_Control.html
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from local import object_store
from local.batch_replication import BatchJob, BatchReplication, Selection
from local.s3 import answered
from local.s3_errors import S3Error
from local.server import Request, Response, decode_path
from local.traffic import BadRoutes, Traffic

PREFIX = "/v20180820/"

_ROUTES = re.compile(rf"{PREFIX}mrap/instances/(.+)/routes")
_JOB = re.compile(rf"{PREFIX}jobs/([^/]+)")
_NAMESPACE = "http://awss3control.amazonaws.com/doc/2018-08-20/"


class S3Control:
    """Answers what it can; `serve` returns None for everything else, which is moto's."""

    def __init__(self, mrap_arn: str, traffic: Traffic, batch: BatchReplication) -> None:
        self._mrap_arn = mrap_arn
        self._traffic = traffic
        self._batch = batch

    def serve(self, request: Request) -> Response | None:
        """The answer, or None when the request is not for this."""
        path = decode_path(request.path)
        if match := _ROUTES.fullmatch(path):
            arn = match[1]
            return answered(lambda: self._routes(request, arn))
        if request.method == "POST" and path == f"{PREFIX}jobs":
            return answered(lambda: self._create_job(request))
        if request.method == "GET" and (match := _JOB.fullmatch(path)):
            job_id = match[1]
            return answered(lambda: self._describe_job(job_id))
        return None

    def _routes(self, request: Request, arn: str) -> Response:
        if arn != self._mrap_arn:
            message = "The specified multi-region access point does not exist"
            raise S3Error(404, "NoSuchMultiRegionAccessPoint", message, {"Mrap": arn})
        if request.method == "GET":
            routes = "".join(
                f"<Route><Bucket>{self._traffic.buckets[region]}</Bucket><Region>{region}</Region>"
                f"<TrafficDialPercentage>{dial}</TrafficDialPercentage></Route>"
                for region, dial in self._traffic.dials().items()
            )
            inner = f"<Mrap>{escape(arn)}</Mrap><Routes>{routes}</Routes>"
            return _xml("GetMultiRegionAccessPointRoutesResult", inner)
        if request.method != "PATCH":
            raise S3Error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        try:
            self._traffic.submit(dict(self._dials(_parsed(request))))
        except BadRoutes as error:
            raise S3Error(400, "InvalidRequest", str(error)) from None
        return _xml("SubmitMultiRegionAccessPointRoutesResult", "")

    def _dials(self, root: ElementTree.Element) -> Iterator[tuple[str, int]]:
        regions = {bucket: region for region, bucket in self._traffic.buckets.items()}
        for route in root.iterfind("{*}RouteUpdates/{*}Route"):
            bucket = route.findtext("{*}Bucket") or ""
            region = route.findtext("{*}Region") or regions.get(bucket, bucket)
            dial = route.findtext("{*}TrafficDialPercentage") or ""
            yield region, int(dial) if dial.isdecimal() else -1

    def _create_job(self, request: Request) -> Response:
        root = _parsed(request)
        if root.find("{*}Operation/{*}S3ReplicateObject") is None:
            message = "The local world runs only S3ReplicateObject jobs."
            raise S3Error(501, "NotImplemented", message)
        fields = "".join(
            f"<{name}>{escape(root.findtext('{*}' + name) or '')}</{name}>"
            for name in ("Description", "Priority", "RoleArn")
        )
        job = self._batch.create(
            root.findtext("{*}ClientRequestToken") or "",
            fields,
            _selection(root),
            awaits_confirmation=root.findtext("{*}ConfirmationRequired") == "true",
        )
        return _xml("CreateJobResult", f"<JobId>{job.id}</JobId>")

    def _describe_job(self, job_id: str) -> Response:
        job = self._batch.find(job_id)
        if job is None:
            raise S3Error(404, "NoSuchJob", "The specified job does not exist.", {"JobId": job_id})
        return _xml("DescribeJobResult", f"<Job>{_described(job)}</Job>")


def _described(job: BatchJob) -> str:
    progress = (
        f"<TotalNumberOfTasks>{job.total}</TotalNumberOfTasks>"
        f"<NumberOfTasksSucceeded>{job.succeeded}</NumberOfTasksSucceeded>"
        f"<NumberOfTasksFailed>{job.failed}</NumberOfTasksFailed>"
    )
    ended = f"<TerminationDate>{_time(job.ended)}</TerminationDate>" if job.ended else ""
    return (
        f"<JobId>{job.id}</JobId><Status>{job.status}</Status>{job.fields}"
        f"<Operation><S3ReplicateObject/></Operation><ProgressSummary>{progress}</ProgressSummary>"
        f"<CreationTime>{_time(job.created)}</CreationTime>{ended}"
    )


def _selection(root: ElementTree.Element) -> Selection:
    """What the job is to take, by a generator or by a manifest (CSV). Raises S3Error when it names neither."""
    generator = root.find("{*}ManifestGenerator/{*}S3JobManifestGenerator")
    if generator is not None:
        chosen = generator.find("{*}Filter")
        if chosen is None:
            chosen = ElementTree.Element("Filter")
        return Selection(
            bucket=_bucket(generator.findtext("{*}SourceBucket") or ""),
            statuses=_texts(chosen, "{*}ObjectReplicationStatuses/*"),
            prefixes=_texts(chosen, "{*}KeyNameConstraint/{*}MatchAnyPrefix/*"),
            created_after=_moment(chosen.findtext("{*}CreatedAfter")),
            created_before=_moment(chosen.findtext("{*}CreatedBefore")),
        )
    location = root.findtext("{*}Manifest/{*}Location/{*}ObjectArn") or ""
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    manifest = object_store.current_object(bucket, key)
    if manifest is None:
        raise S3Error(400, "InvalidManifest", "The manifest object does not exist.", {"ObjectArn": location})
    names = _texts(root, "{*}Manifest/{*}Spec/{*}Fields/*") or ("Bucket", "Key")
    rows = [dict(zip(names, row, strict=False)) for row in csv.reader(io.StringIO(manifest.value.decode())) if row]
    if not rows:
        raise S3Error(400, "InvalidManifest", "The manifest is empty.")
    listed = frozenset((unquote_plus(row["Key"]), row.get("VersionId", "")) for row in rows)
    return Selection(bucket=rows[0]["Bucket"], listed=listed)


def _parsed(request: Request) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(request.body)
    except ElementTree.ParseError as error:
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        raise S3Error(400, "MalformedXML", message) from error


def _bucket(arn: str) -> str:
    return arn.removeprefix("arn:aws:s3:::")


def _texts(root: ElementTree.Element, path: str) -> tuple[str, ...]:
    return tuple(element.text or "" for element in root.iterfind(path))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _xml(name: str, inner: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_NAMESPACE}">{inner}</{name}>'
    return Response(200, (("Content-Type", "application/xml"),), body.encode())
