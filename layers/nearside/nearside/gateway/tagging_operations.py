"""The operations on an object's tags."""

from collections.abc import Mapping

from nearside.errors import Missing
from nearside.gateway import tags
from nearside.gateway.answers import Answer, xml_of
from nearside.gateway.calls import Call, Core, found, missing
from nearside.gateway.object_operations import current_of
from nearside.gateway.records import Record


def get_object_tagging(core: Core, call: Call) -> Answer:
    """GetObjectTagging."""
    call.check("read")
    record = found(core, call, call.bucket, call.key)
    return xml_of(tags.to_xml(current_of(record).tags))


def put_object_tagging(core: Core, call: Call) -> Answer:
    """PutObjectTagging."""
    call.check("write")
    body, _ = call.body()
    record = _retagged(core, call, tags.from_xml(body))
    return Answer(headers=core.told(record))


def delete_object_tagging(core: Core, call: Call) -> Answer:
    """DeleteObjectTagging."""
    call.check("write")
    return Answer(status=204, headers=core.told(_retagged(core, call, {})))


def _retagged(core: Core, call: Call, wanted: Mapping[str, str]) -> Record:
    try:
        return core.writer.retag(call.bucket, call.key, wanted)
    except Missing as error:
        raise missing(core, call, call.bucket, call.key, error) from error
