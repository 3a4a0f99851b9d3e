"""Any buckets that somebody may have, and any choices, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

from deploy.bucket_state import State
from deploy.replication_merging import RuleChoices
from local.object_store import ACCOUNT
from tests.deploy.buckets import OTHERS_ROLE

_names = st.text("abcdefghij", min_size=1, max_size=6).map(lambda name: f"theirs-{name}")
_statements = st.builds(
    lambda name, action, effect: {
        "Sid": name.replace("-", ""),
        "Effect": effect,
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"},
        "Action": action,
        "Resource": "arn:aws:s3:::acme-eu/*",
    },
    _names,
    st.sampled_from(["s3:GetObject", "s3:PutObject"]),
    st.sampled_from(["Allow", "Deny"]),
)
_cors = st.builds(
    lambda name, origin, methods: {"ID": name, "AllowedOrigins": [origin], "AllowedMethods": methods},
    _names,
    st.sampled_from(["*", "https://example.com"]),
    st.lists(st.sampled_from(["GET", "PUT", "HEAD"]), min_size=1, unique=True),
)
_lifecycles = st.builds(
    lambda name, prefix, days: {
        "ID": name,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Expiration": {"Days": days},
    },
    _names,
    st.sampled_from(["", "logs/", "tmp/"]),
    st.integers(1, 99),
)
# None of these is an event of ours.
_events = st.sampled_from(["s3:ObjectTagging:*", "s3:ObjectRestore:*", "s3:ObjectAcl:Put", "s3:LifecycleTransition"])
_rules = st.builds(
    lambda name, priority, prefix, on: {
        "ID": name,
        "Priority": priority,
        "Status": "Enabled" if on else "Disabled",
        "Filter": {"Prefix": prefix},
        "DeleteMarkerReplication": {"Status": "Disabled"},
        "Destination": {"Bucket": "arn:aws:s3:::theirs-backup", "StorageClass": "STANDARD_IA"},
    },
    _names,
    st.integers(1, 1000),
    st.sampled_from(["", "images/", "logs/"]),
    st.booleans(),
)


def _unique(entries: st.SearchStrategy[Any], *names: str, most: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(entries, min_size=1, max_size=most, unique_by=tuple(lambda e, n=n: e[n] for n in names))  # type: ignore[misc]


@st.composite
def states(draw: st.DrawFn, region: str = "eu-west-2") -> State:
    """A bucket of somebody's."""
    versioning = draw(st.sampled_from([None, "Enabled", "Suspended"]))
    rules = draw(st.none() | _unique(_rules, "ID", "Priority")) if versioning == "Enabled" else None
    events = draw(st.none() | st.lists(_events, min_size=1, unique=True))
    theirs = f"arn:aws:sqs:{region}:{ACCOUNT}:theirs"
    return {
        "versioning": versioning,
        "policy": draw(
            st.none() | _unique(_statements, "Sid").map(lambda found: {"Version": "2012-10-17", "Statement": found})
        ),
        "cors": draw(st.none() | _unique(_cors, "ID").map(lambda found: {"CORSRules": found})),
        "lifecycle": draw(st.none() | _unique(_lifecycles, "ID").map(lambda found: {"Rules": found})),
        "notifications": events and {"QueueConfigurations": [{"Id": "theirs", "QueueArn": theirs, "Events": events}]},
        "replication": rules and {"Role": OTHERS_ROLE, "Rules": rules},
    }


choices = st.fixed_dictionaries(
    {
        "tls_only": st.booleans(),
        "lifecycle": st.booleans(),
        "cors_origins": st.sampled_from([(), ("*",), ("https://example.com",)]),
        "old_versions_days": st.sampled_from([0, 30]),
        "rules": st.builds(
            RuleChoices,
            time_control=st.booleans(),
            metrics=st.booleans(),
            delete_markers=st.booleans(),
            prefixes=st.sampled_from([("",), ("images/", ".nearside/")]),
            keep_role=st.just(True),
        ),
    }
)
