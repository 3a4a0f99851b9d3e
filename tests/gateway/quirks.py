"""What an endpoint gets wrong beside what the table of providers says: by test, and why."""

import re
from collections.abc import Mapping


def fits(case: str, quirk: str) -> bool:
    """Whether the quirk, a test's name with `*` for anything, is about the case."""
    return re.fullmatch(".*".join(map(re.escape, quirk.split("*"))), case) is not None


_MOTO: Mapping[str, str] = {
    "a_read_on_conditions[*-If-Match any]": "takes * for an ETag",
    "a_read_on_conditions[*-If-None-Match any]": "takes * for an ETag",
    "a_read_on_conditions[*-If-Match right, changed since]": "judges the time beside the ETag",
    "a_read_on_conditions[*-If-None-Match wrong, not changed since]": "judges the time beside the ETag",
    "a_range_that_is_none_is_ignored[lines=1-2]": "takes any unit for bytes",
    "too_much_metadata_is_refused": "takes 2,100 bytes",
    "a_listing[delimiter-list_objects]": "writes a common prefix with a + as it is where it is to be encoded",
    "pages_put_together_are_the_whole[*-delimiter-list_objects]": "begins a page after a common prefix with it again",
    "many_are_deleted_at_once": "says what was deleted when it is to be quiet",
    "too_many_are_not_deleted_at_once": "takes 1,001 keys",
    "what_is_wrong_with_parts_is_told": "says EntityTooSmall of parts in the wrong order",
    "a_part_number_is_from_1_to_10000[0]": "says NoSuchUpload",
    "parts_with_checksums": "gives no checksum of a part",
}
_B2: Mapping[str, str] = {
    "buckets_come_and_go": "old versions are in the bucket",
    "a_new_bucket_never_had_versions": "versions are always on",
    "a_write_on_conditions": "NotImplemented",
}
# Tried with 1.75.2, `rclone serve s3 :memory:`.
_RCLONE: Mapping[str, str] = {
    "a_listing[prefix of nothing-list_objects_v2]": "has no KeyCount",
    "another_delimiter_than_a_slash[*]": "knows a slash only",
    "a_listing_tells_of_each_object": "ETags have no quotes",
    "a_page_of_no_keys": "gives all keys",
    "an_owner_is_told_when_asked_for": "tells no owner",
    "a_token_that_was_not_given_is_refused": "InvalidToken",
    "a_bucket_is_made_once": "BucketAlreadyExists",
    "a_bucket_has_a_region": "says us-east-1",
    "an_object_of_parts": "the ETag is the MD5 of all bytes",
    "numbers_of_parts_may_have_gaps": "InvalidPart",
    "a_part_may_be_written_again_or_left_out": "a part that was streamed to its backend stays",
    "what_is_wrong_with_parts_is_told": "ends the upload at the first wrong complete",
    "a_part_number_is_from_1_to_10000[*]": "InvalidPart",
    "parts_with_checksums": "keeps no checksums",
    "a_copy_has_what_its_source_has": "adds mtime to the metadata",
    "a_copy_may_be_described_anew": "adds to the metadata that was there",
    "a_copy_on_conditions": "takes no notice of conditions",
    "a_copy_that_cannot_be": "takes a copy of what is not there",
    "a_part_may_be_a_copy": "NotImplemented, as an answer without an ETag",
    "a_key_beside_a_longer_one_and_a_folder_of_its_name": "no folder has the name of a file",
    "standard_headers_come_back": "keeps no Expires",
    "without_a_content_type_it_is_binary": "application/octet-stream",
    "metadata_comes_back": "in capitals",
    "a_range_is_a_part_of_it[*]": "with status 200",
    "a_range_that_is_none_is_ignored[*]": "InvalidRange",
    "a_head_of_a_range_has_its_length": "has all of it",
    "a_presigned_url_gives_the_object[*]": "a range with status 200",
    "a_read_on_conditions[*-If-Match wrong]": "takes no notice of it",
    "a_read_on_conditions[*-If-None-Match any]": "takes * for an ETag",
    "a_read_on_conditions[*-If-Modified-Since now]": "takes no notice of it",
    "a_read_on_conditions[*-If-Unmodified-Since before]": "takes no notice of it",
    "a_write_on_conditions": "takes no notice of them",
    "a_checksum_is_kept[*]": "keeps none",
    "a_body_that_is_not_what_its_checksum_says_is_refused": "takes no notice of it",
    "nobody_is_refused": "400 to a request without a signature",
    "a_presigned_url_ends": "AccessDenied with status 400",
    "a_clock_that_is_wrong_is_refused": "AccessDenied with status 400",
    "a_body_in_chunks[signed]": "keeps aws-chunked as the encoding",
    "a_body_in_chunks[unsigned-crc32]": "keeps aws-chunked as the encoding",
    "a_body_in_chunks[signed-*]": "takes the chunks for the body",
    "chunks_that_are_not_what_they_say_are_refused": "takes no notice of what they say",
    "a_body_other_than_the_one_that_was_signed_is_refused": "answers 500",
}
QUIRKS: Mapping[str, Mapping[str, str]] = {"moto": _MOTO, "old-b2": {**_MOTO, **_B2}, "rclone": _RCLONE, "gateway": {}}
