"""Fakes that obey the domain's Protocols."""

from collections.abc import Mapping, Sequence

from nearside.places import Mrap, Place
from nearside.replicas import Absent, Denied, Finding, Findings, Held, Question, Silent

LONDON = Place("eu-west-2", "pics-eu")
OHIO = Place("us-east-2", "pics-us")
TOKYO = Place("ap-northeast-1", "pics-ap")
MRAP = Mrap("mfzwi23gnjvgw.mrap")

NEWEST = Held("v2", "e2", 2_000.0)
OLDER = Held("v1", "e1", 1_000.0)
ABSENT = Absent()
DELETED = Absent(deleted=True)
DENIED = Denied("refused (403)")
SILENT = Silent("did not answer within 3 s")


type Found = Mapping[str, Mapping[str, Finding]]
"""Findings by key, then by the place's name."""


class FakeReplicas:
    """Finds what it was told; remembers what it was asked. Implements `nearside.replicas.FindsReplicas`."""

    def __init__(
        self, found: Mapping[str, Mapping[str, Finding]] | None = None, *, otherwise: Finding = ABSENT
    ) -> None:
        self.found = found or {}
        self.otherwise = otherwise
        self.asked: list[Question] = []

    def __call__(self, questions: Sequence[Question]) -> Sequence[Findings]:
        self.asked += questions
        return [
            {place.name: self.found.get(question.key, {}).get(place.name, self.otherwise) for place in question.places}
            for question in questions
        ]
