"""The credential chain: what it finds, when that ends, and that nothing found is said so."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore.session
import pytest

from nearside import settings
from nearside.adapters import credentials
from nearside.adapters.sessions import Sessions
from nearside.errors import NoCredentials
from nearside.signing import Credentials
from tests.unit import functions


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials from wherever the tests run."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def process_profile(folder: Path, seconds: float | None) -> Path:
    """A profile `minted` whose process gives another key at each call, for so many seconds; returns the calls' log."""
    program = folder / "mint.py"
    log = folder / "calls"
    program.write_text(
        f"""import datetime, json, pathlib
log = pathlib.Path({str(log)!r})
n = len(log.read_text()) + 1 if log.exists() else 1
log.write_text("x" * n)
minted = {{"Version": 1, "AccessKeyId": f"AKID{{n}}", "SecretAccessKey": "secret", "SessionToken": "token"}}
if {seconds!r} is not None:
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds={seconds!r})
    minted["Expiration"] = end.isoformat(timespec="seconds")
print(json.dumps(minted))
"""
    )
    (folder / "config").write_text(f"[profile minted]\ncredential_process = {sys.executable} -I {program}\n")
    return log


def test_nothing_found_is_no_credentials() -> None:
    with pytest.raises(NoCredentials, match="no credentials in the environment, the profile, SSO, the container"):
        credentials.chain()


def test_a_profile_that_is_not_there_is_no_credentials() -> None:
    with pytest.raises(NoCredentials, match="nobody"):
        credentials.chain(profile="nobody")


def test_the_environments_pair_has_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert credentials.chain()() == Credentials("AKID", "secret")


def test_a_profiles_pair_is_found(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[me]\naws_access_key_id = AKID\naws_secret_access_key = secret\n")
    assert credentials.chain(profile="me")() == Credentials("AKID", "secret")


def test_expiring_credentials_tell_their_end_and_are_kept_while_they_last(tmp_path: Path) -> None:
    log = process_profile(tmp_path, 3600)
    source = credentials.chain(profile="minted")
    first = source()
    assert (first.access_key_id, first.session_token) == ("AKID1", "token")
    assert first.expires_at == pytest.approx((datetime.now(UTC) + timedelta(hours=1)).timestamp(), abs=30)
    assert source() == first
    assert log.read_text() == "x"


def test_credentials_near_their_end_are_made_anew(tmp_path: Path) -> None:
    process_profile(tmp_path, 60)  # botocore renews in the last 15 minutes
    source = credentials.chain(profile="minted")
    first, second = source(), source()
    assert first.access_key_id != second.access_key_id


def test_a_process_that_fails_later_is_no_credentials(tmp_path: Path) -> None:
    process_profile(tmp_path, 60)
    source = credentials.chain(profile="minted")
    (tmp_path / "mint.py").write_text("raise SystemExit('signed out')")
    with pytest.raises(NoCredentials, match="signed out"):
        source()


def test_a_process_without_an_end_has_none(tmp_path: Path) -> None:
    process_profile(tmp_path, None)
    assert credentials.chain(profile="minted")().expires_at is None


def test_the_regional_sts_endpoint_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    made: list[botocore.session.Session] = []
    own_get = botocore.session.Session.get_credentials

    def get_credentials(session: botocore.session.Session) -> object:
        made.append(session)
        return own_get(session)

    monkeypatch.setattr(botocore.session.Session, "get_credentials", get_credentials)
    credentials.chain(region="eu-west-2")
    sts = made[0].create_client("sts", aws_access_key_id="a", aws_secret_access_key="b")
    assert sts.meta.endpoint_url == "https://sts.eu-west-2.amazonaws.com"


def of(**changed: str) -> credentials.CredentialSource:
    return credentials.of(settings.load(environ={**functions.ENVIRONMENT, **changed}))


def test_the_pair_in_the_settings_is_the_source() -> None:
    assert of(AWS_SESSION_TOKEN="token")() == Credentials("AKIDEXAMPLE", "secret", "token")


def test_a_signing_role_makes_sessions_of_it() -> None:
    assert isinstance(of(SIGNING_ROLE_ARN="arn:aws:iam::123456789012:role/signer"), Sessions)


def test_without_a_pair_the_chain_is_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process_profile(tmp_path, None)
    monkeypatch.setenv("AWS_PROFILE", "minted")
    assert of(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")().access_key_id == "AKID1"
