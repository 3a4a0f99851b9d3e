"""S3's codes and statuses as errors: only what says 404 is missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import (
    BadRequest,
    Missing,
    MissingBucket,
    MissingPath,
    MissingUpload,
    MissingVersion,
    NearsideError,
    Refused,
    Unreachable,
    from_s3,
)

MISSING = {"NoSuchKey", "NotFound", "404", "NoSuchBucket", "NoSuchVersion", "NoSuchUpload"}
CODES = [
    *MISSING,
    *("AccessDenied", "403", "401", "400", "500", "503", "SlowDown", "InternalError", "PermanentRedirect", "301"),
    *("ExpiredToken", "InvalidArgument", "InvalidBucketName", "RequestTimeTooSkewed", "Forbidden", "", "Odd"),
]


@given(st.sampled_from(CODES) | st.text(max_size=20), st.integers(0, 599))
def test_only_404_codes_become_missing(code: str, status: int) -> None:
    error = from_s3(code, status, "words")
    if isinstance(error, Missing):
        assert code in MISSING or status == 404
    if code in MISSING:
        assert isinstance(error, Missing)
    assert str(error) == "words"
    assert type(error) is not NearsideError


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, Missing),
        ("404", 404, Missing),
        ("NoSuchBucket", 404, MissingBucket),
        ("NoSuchVersion", 404, MissingVersion),
        ("NoSuchUpload", 404, MissingUpload),
        ("NoSuchWhatever", 404, Missing),
        ("AccessDenied", 403, Refused),
        ("403", 403, Refused),
        ("OddRefusal", 403, Refused),
        ("OddRefusal", 401, Refused),
        ("ExpiredToken", 400, Refused),
        ("InvalidToken", 400, Refused),
        ("AccessDenied", 404, Refused),
        ("InvalidArgument", 400, BadRequest),
        ("SlowDown", 503, Unreachable),
        ("InternalError", 500, Unreachable),
        ("", 502, Unreachable),
        ("", 0, Unreachable),
        ("PermanentRedirect", 301, Unreachable),
        ("OddTrouble", 400, Unreachable),
        ("Throttling", 400, Unreachable),
    ],
)
def test_the_table(code: str, status: int, kind: type[NearsideError]) -> None:
    assert type(from_s3(code, status, "words")) is kind


def test_an_answer_is_the_code_and_the_words_and_a_missing_path_is_its_sentence() -> None:
    assert Refused("no").answer() == {"error": "AccessDenied", "message": "no"}
    sentence = "Path 'demo' does not exist in the bucket"
    assert MissingPath(sentence).answer() == {"error": sentence}
