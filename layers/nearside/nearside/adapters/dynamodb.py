"""The catalog's records in DynamoDB: each rule of `nearside.catalog` is one conditional write to one item in its home.

PK `OBJ#<bucket>#<key>`, SK `<version>#<place>` or `CURRENT#<place>`; at most 1,092 bytes of the 2,048 that a partition
key may have (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). What a condition
refuses comes back with the refusal, without a read of its own
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html).
"""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nearside import work
from nearside.adapters.tables import Attributes, Changed, Tables, Value, decoded, encoded
from nearside.errors import Contended, Unreachable
from nearside.records import Current, Done, Outcome, Refusal, Replica
from nearside.s3_events import Created, Found, Removed, Replicated

TOMBSTONE_SECONDS = 90 * 24 * 3600
_TRIES = 8

_ABSENT = "attribute_not_exists(#PK)"
_NEWER = "attribute_not_exists(#seq) OR #seq < :seq"
_NOT_ITS_OWN = "attribute_not_exists(#seq) AND #state <> :COMPLETED"
_LATER_FAILURE = "attribute_not_exists(#failed) OR #failed < :failed OR (#failed = :failed AND #reason < :reason)"
_EARLIER = "attribute_not_exists(#made) OR #made > :made OR (#made = :made AND #made_seq > :made_seq)"
_LISTED = ("work", "due")
_WAITING = ("reason", "rule", "failed", "overdue", "untracked", "withdrawn", *_LISTED)
_LOOKED = ("observed", "found")
_TOMBSTONE = ("removed", "expires")
_CONTENT = ("size", "etag", "marker")
# Attributes that a condition compares with, beside those that the update sets.
_CONSTANTS: dict[str, Value] = {
    ":PENDING": "PENDING",
    ":FAILED": "FAILED",
    ":COMPLETED": "COMPLETED",
    ":true": True,
}
_FIELDS = {"sequencer": "seq", "made_sequencer": "made_seq"}  # where an attribute's name is another than the field's


class Records:
    """Implements `nearside.records.StoresReplicas`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def arrive(self, event: Created) -> Outcome:
        values: dict[str, Value] = {"state": "COMPLETED", "seen": event.at, "seq": event.sequencer}
        values |= {"marker": True} if event.marker else {"size": event.size, "etag": event.etag}
        gone = [*_WAITING, *_LOOKED, *_TOMBSTONE, *(name for name in _CONTENT if name not in values)]
        return self._update(event.key, event.version, event.place, values, _NEWER, remove=gone)

    def remove(self, event: Removed) -> Outcome:
        values: dict[str, Value] = {
            "state": "ABSENT",
            "removed": event.at,
            "seq": event.sequencer,
            "expires": event.at // 1000 + TOMBSTONE_SECONDS,
        }
        gone = [*_WAITING, *_LOOKED, *_CONTENT, "seen"]
        return self._update(event.key, event.version, event.place, values, _NEWER, remove=gone)

    def expect(self, place: str, event: Created) -> Outcome:
        values = {"state": "PENDING", **_made(event), **_listed(event.key, place, "PENDING", event.at)}
        return self._update(event.key, event.version, place, values, _ABSENT)

    def date(self, place: str, event: Created) -> Outcome:
        values = _made(event)
        pending = False
        for _ in range(_TRIES):
            state = "#state = :PENDING" if pending else "#state <> :PENDING"
            due: dict[str, Value] = {"due": event.at} if pending else {}
            condition = f"attribute_exists(#PK) AND {state} AND ({_EARLIER})"
            outcome = self._update(event.key, event.version, place, values | due, condition)
            if isinstance(outcome, Done) or outcome.stands is None or not _is_later(outcome.stands, event):
                return outcome
            pending = outcome.stands.state == "PENDING"
        raise Contended(f"{event.key!r} in {place} changed {_TRIES} times while it was dated")

    def fail(self, event: Replicated) -> Outcome:
        listed = _listed(event.key, event.destination, "FAILED", event.at)
        condition = f"{_ABSENT} OR #state = :PENDING OR (#state = :FAILED AND ({_LATER_FAILURE}))"
        return self._told(event, {"state": "FAILED", **_failure(event), **listed}, condition)

    def note(self, event: Replicated) -> Outcome:
        return self._told(event, _failure(event), f"#withdrawn = :true AND ({_LATER_FAILURE})")

    def miss(self, event: Replicated) -> Outcome:
        keep = {"rule": event.rule} if event.rule else {}
        return self._told(event, _flagged(event), f"attribute_exists(#PK) AND {_NOT_ITS_OWN}", keep=keep)

    def presume(self, event: Replicated) -> Outcome:
        listed = _listed(event.key, event.destination, "PENDING", event.at)
        rule: dict[str, Value] = {"rule": event.rule} if event.rule else {}
        return self._told(event, {"state": "PENDING", **_flagged(event), **rule, **listed}, _ABSENT)

    def complete(self, event: Replicated) -> Outcome:
        values: dict[str, Value] = {"state": "COMPLETED", "seen": event.at}
        return self._told(event, values, f"{_ABSENT} OR ({_NOT_ITS_OWN})", remove=[*_WAITING, *_LOOKED, *_TOMBSTONE])

    def find(self, event: Found) -> Outcome:
        values: dict[str, Value] = {"state": "COMPLETED", "found": True}
        condition, gone, keep = f"{_ABSENT} OR ({_NOT_ITS_OWN})", [*_WAITING, *_TOMBSTONE], {"observed": event.modified}
        return self._update(event.key, event.version, event.place, values, condition, remove=gone, keep=keep)

    def withdraw(self, replica: Replica) -> Outcome:
        expires = int(time.time()) + TOMBSTONE_SECONDS
        values: dict[str, Value] = {"state": "ABSENT", "withdrawn": True, "expires": expires}
        condition = "#state = :PENDING OR #state = :FAILED"
        return self._update(replica.key, replica.version, replica.place, values, condition, remove=_LISTED)

    def renew(self, replica: Replica) -> Outcome:
        state = "PENDING" if replica.failed is None else "FAILED"
        due = replica.failed or replica.due
        values: dict[str, Value] = {"state": state, **_listed(replica.key, replica.place, state, due)}
        unchanged = "attribute_not_exists(#failed)" if replica.failed is None else f"#failed = :{replica.failed}"
        constants = {} if replica.failed is None else {f":{replica.failed}": replica.failed}
        condition = f"#withdrawn = :true AND {unchanged}"
        gone = ["withdrawn", "expires"]
        return self._update(
            replica.key, replica.version, replica.place, values, condition, remove=gone, constants=constants
        )

    def observe(self, replica: Replica) -> Outcome:
        fields: dict[str, Value | None] = {
            "state": replica.state,
            "observed": replica.observed,
            "etag": replica.etag,
            "size": replica.size,
        }
        values = {name: value for name, value in fields.items() if value is not None}
        if replica.state == "PENDING":
            values |= _listed(replica.key, replica.place, "PENDING", replica.due)
        return self._update(replica.key, replica.version, replica.place, values, _ABSENT)

    def replica(self, key: str, version: str, place: str) -> Replica | None:
        answer = self._tables.call(
            self._tables.home(place), "get_item", Key=self._key(key, f"{version}#{place}"), ConsistentRead=True
        )
        return self._replica(answer["Item"]) if "Item" in answer else None

    def look(self, key: str, version: str, place: str) -> tuple[Replica | None, Current | None]:
        wanted = [self._key(key, f"{version}#{place}"), self._key(key, f"CURRENT#{place}")]
        request = {self._tables.name: {"Keys": wanted, "ConsistentRead": True}}
        answer = self._tables.call(self._tables.home(place), "batch_get_item", RequestItems=request)
        if answer.get("UnprocessedKeys"):
            raise Unreachable(f"the catalog in {self._tables.home(place)} is throttled")
        found = {item["SK"]["S"]: item for item in answer["Responses"].get(self._tables.name, ())}
        replica, current = (found.get(each["SK"]["S"]) for each in wanted)
        return self._replica(replica) if replica else None, self._current(current) if current else None

    def object(self, key: str, place: str) -> tuple[Sequence[Replica], Current | None]:
        replicas: list[Replica] = []
        current: Current | None = None
        pages = self._tables.query(
            self._tables.home(place),
            KeyConditionExpression="PK = :PK",
            ExpressionAttributeValues=encoded({":PK": self._partition(key)}),
            ConsistentRead=True,
        )
        for item in (item for page in pages for item in page["Items"]):
            name, _, of = item["SK"]["S"].rpartition("#")
            if of == place and name == "CURRENT":
                current = self._current(item)
            elif of == place:
                replicas.append(self._replica(item))
        return replicas, current

    def put_current(self, current: Current) -> bool:
        fields: dict[str, Value | None] = {
            "version": current.version,
            "made": current.made,
            "seq": current.sequencer,
            "marker": current.marker or None,
            "etag": current.etag,
            "size": current.size,
            "rev": current.revision,
        }
        values = {name: value for name, value in fields.items() if value is not None}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(PK)"}
        if current.revision:
            stands = encoded({":rev": current.revision - 1})
            condition = {"ConditionExpression": "rev = :rev", "ExpressionAttributeValues": stands}
        item = self._key(current.key, f"CURRENT#{current.place}") | encoded(values)
        try:
            self._tables.call(self._tables.home(current.place), "put_item", Item=item, **condition)
        except Changed:
            return False
        return True

    def _told(
        self,
        event: Replicated,
        values: Mapping[str, Value],
        condition: str,
        *,
        remove: Sequence[str] = (),
        keep: Mapping[str, Value] | None = None,
    ) -> Outcome:
        return self._update(
            event.key, event.version, event.destination, values, condition, remove=remove, keep=keep or {}
        )

    def _update(
        self,
        key: str,
        version: str,
        place: str,
        values: Mapping[str, Value],
        condition: str,
        *,
        remove: Sequence[str] = (),
        keep: Mapping[str, Value] | None = None,
        constants: Mapping[str, Value] | None = None,
    ) -> Outcome:
        """Sets `values` and `remove`s attributes if the condition holds; sets those of `keep` that are not there yet.

        In the condition every attribute has a `#` before its name (some are reserved words), and stands by a `:` for
        the value that it is to have.
        """
        keep = keep or {}
        sets = [f"#{name} = :{name}" for name in values]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in keep]
        expression = f"SET {', '.join(sets)}"
        if remove:
            expression += f" REMOVE {', '.join(f'#{name}' for name in remove)}"
        whole = f"{expression} {condition}"
        known = _CONSTANTS | dict(constants or {}) | {f":{name}": value for name, value in {**values, **keep}.items()}
        used = set(re.findall(r":\w+", whole))
        try:
            answer = self._tables.call(
                self._tables.home(place),
                "update_item",
                Key=self._key(key, f"{version}#{place}"),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in re.findall(r"#(\w+)", whole)},
                ExpressionAttributeValues=encoded({name: value for name, value in known.items() if name in used}),
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except Changed as changed:
            return Refusal(self._replica(changed.item) if changed.item else None)
        return Done(self._replica(answer["Attributes"]) if answer.get("Attributes") else None)

    def _partition(self, key: str) -> str:
        return f"OBJ#{self._tables.bucket}#{key}"

    def _key(self, key: str, sort: str) -> dict[str, dict[str, Any]]:
        return encoded({"PK": self._partition(key), "SK": sort})

    def _replica(self, item: Attributes) -> Replica:
        values = decoded(item)
        version, _, place = values["SK"].rpartition("#")
        fields = {name: values[_FIELDS.get(name, name)] for name in _REPLICA if _FIELDS.get(name, name) in values}
        return Replica(
            **{**fields, "key": values["PK"][len(self._partition("")) :], "version": version, "place": place}
        )

    def _current(self, item: Attributes) -> Current:
        values = decoded(item)
        return Current(
            key=values["PK"][len(self._partition("")) :],
            place=values["SK"].rpartition("#")[2],
            version=values.get("version"),
            made=values["made"],
            sequencer=values.get("seq", ""),
            marker=values.get("marker", False),
            etag=values.get("etag"),
            size=values.get("size"),
            revision=values["rev"],
        )


_REPLICA = tuple(name for name in Replica.__struct_fields__ if name not in ("key", "version", "place"))


def _made(event: Created) -> dict[str, Value]:
    marker: dict[str, Value] = {"marker": True} if event.marker else {}
    return {"made": event.at, "made_seq": event.sequencer, **marker}


def _failure(event: Replicated) -> dict[str, Value]:
    return {"failed": event.at, "reason": event.reason, "rule": event.rule}


def _flagged(event: Replicated) -> dict[str, Value]:
    return {"untracked" if event.outcome == "not_tracked" else "overdue": True}


def _listed(key: str, place: str, state: str, due: int) -> dict[str, Value]:
    """What puts a record into the work index."""
    return {"work": f"{place}#{state}#{work.shard(key)}", "due": due}


def _is_later(stands: Replica, event: Created) -> bool:
    return stands.made is None or (stands.made, stands.made_sequencer) > (event.at, event.sequencer)
