"""Requests handed to moto's S3 in this process, and where its reading of HTTP differs from S3's, mended."""

import io
import logging
from typing import Any, override
from urllib.parse import quote

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)
from moto.core.request import Request as MotoRequest
from moto.s3.responses import S3Response

from local.object_store import current_object, find_bucket
from local.operations import Address
from local.s3_errors import S3Error
from local.server import Request, Response

_log = logging.getLogger(__name__)

# Headers of moto's answers that S3's have not, or that are written elsewhere here.
_UNLIKE_S3 = ("x-amz-sdk-checksum-algorithm", "x-amzn-requestid", "server", "date")


def forward(request: Request, where: Address) -> Response:
    """moto's answer to a request whose signature and payload were already checked."""
    moto_request = _MotoRequest(_environ(request, where))
    if not request.has_parameter("uploadId") or _has_upload(request, where):
        dispatch = S3Response.key_dispatch if where.key else S3Response.bucket_dispatch
        try:
            status, headers, body = dispatch(moto_request, moto_request.raw_url, dict(moto_request.headers))
        except Exception as error:
            _log.exception("moto failed on %s %s", request.method, request.target)
            raise S3Error(500, "InternalError", "We encountered an internal error. Please try again.") from error
        return _response(status, headers, body)
    message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted."
    raise S3Error(404, "NoSuchUpload", message, {"UploadId": request.parameter("uploadId")})


class _MotoRequest(MotoRequest):
    from_wsgi_server = True

    @property
    @override
    def want_form_data_parsed(self) -> bool:
        """Only a form posted to a bucket is a form. moto loses the body of a PUT that curl -d labels as one."""
        return self.method == "POST" and self.mimetype == "multipart/form-data"


def _has_upload(request: Request, where: Address) -> bool:
    bucket = find_bucket(where.bucket)
    upload_id = request.parameter("uploadId")
    if bucket is None or upload_id in bucket.multiparts:
        return True
    # Completing an upload twice is answered as the first time.
    current = current_object(where.bucket, where.key)
    finished = current.multipart if current else None
    return request.method == "POST" and finished is not None and finished.id == upload_id


def _environ(request: Request, where: Address) -> dict[str, Any]:
    """A WSGI environment whose path is the address and which moto takes for a signed request."""
    path = "/" + quote(where.bucket, safe="") + ("/" + quote(where.key, safe="/") if where.key else "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path + (f"?{request.query}" if request.query else ""),
        "QUERY_STRING": request.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
    }
    preserved = {}
    for name, value in request.headers:
        key = environ_key_for_header(name)
        environ[key] = f"{environ[key]},{value}" if key in environ else value
        if should_preserve_original_header_name(name):
            preserved[key] = name
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
    environ["HTTP_HOST"] = "localhost"
    environ["CONTENT_LENGTH"] = str(len(request.body))
    return environ


def _response(status: object, headers: dict[str, Any], body: str | bytes) -> Response:
    kept = tuple(
        (name, str(value)) for name, value in headers.items() if value is not None and name.lower() not in _UNLIKE_S3
    )
    return Response(int(str(status)), kept, body.encode() if isinstance(body, str) else body)
