"""DeleteObjects: up to 1000 keys in one request, each with an outcome of its own."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nearside.errors import BadRequest, Missing, NearsideError, Refused
from nearside.gateway import checksums, s3_xml
from nearside.gateway.answers import Answer, status_and_code, xml
from nearside.gateway.calls import Call, Core, missing
from nearside.gateway.describing import Conditions
from nearside.gateway.errors import InvalidArgument, MalformedXml, NotSupported
from nearside.gateway.s3_requests import object_key

MAX_KEYS = 1000
_AT_ONCE = 16
# What else S3 takes beside a key, and the gateway cannot do.
_REFUSED = ("VersionId", "LastModifiedTime", "Size")

log = logging.getLogger("nearside")


def delete_objects(core: Core, call: Call) -> Answer:
    """DeleteObjects: what was deleted, and what was not and why. Raises MalformedXml, BadRequest without a checksum."""
    body, announced = call.body()
    if not announced and "content-md5" not in call.headers:
        raise BadRequest(
            f"Missing required header for this request: Content-MD5 (or {checksums.HEADER}…): a deletion that was "
            "garbled on its way cannot be undone"
        )
    root = s3_xml.read(body, "Delete")
    wanted = [(each.required("Key"), each) for each in root.all("Object")]
    if not 1 <= len(wanted) <= MAX_KEYS:
        raise MalformedXml(f"Delete has {len(wanted)} objects: expected 1 to {MAX_KEYS}")
    core.buckets.check(call.bucket)
    quiet = root.find("Quiet") == "true"
    act = _deleter(core, call)
    if len(wanted) == 1:
        outcomes = [act(*wanted[0])]
    else:
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="delete") as threads:
            outcomes = list(threads.map(lambda each: act(*each), wanted))
    content: list[tuple[str, s3_xml.Content]] = []
    for (key, _), problem in zip(wanted, outcomes, strict=True):
        if problem is not None:
            content.append(("Error", [("Key", key), ("Code", problem[0]), ("Message", problem[1])]))
        elif not quiet:
            content.append(("Deleted", [("Key", key)]))
    return xml("DeleteResult", content)


def _deleter(core: Core, call: Call) -> Callable[[str, s3_xml.Element], tuple[str, str] | None]:
    """Deletes one object: None when it is gone, else S3's code and a message."""

    def delete(key: str, element: s3_xml.Element) -> tuple[str, str] | None:
        try:
            for name in _REFUSED:
                if element.find(name) is not None:
                    raise NotSupported(f"{name} of an object to delete is not supported by this gateway")
            if not key:
                raise InvalidArgument("An object to delete needs a key")
            call.access.check("delete", call.bucket, object_key(key))
            try:
                core.writer.delete(call.bucket, key, Conditions(if_match=element.find("ETag")))
            except Missing as error:
                raise missing(core, call, call.bucket, key, error) from error
        except NearsideError as error:
            if error.status >= 500 or isinstance(error, Refused):
                log.warning("%s: %s", error.code, error, extra={"request_id": call.request.id})
            return status_and_code(error)[1], str(error)
        except Exception:  # the others go on
            log.exception("unexpected", extra={"request_id": call.request.id})
            return "InternalError", f"see the log for request {call.request.id}"
        return None

    return delete
