"""Objects at web addresses: `http://` and `https://` URLs, presigned ones among them."""

import base64
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import unquote, unquote_plus, urljoin

import msgspec

from nearside.adapters.cache_addresses import account_of
from nearside.adapters.cache_answers import SERVED, error_of
from nearside.adapters.cache_wire import USER_AGENT, Reply, Wire
from nearside.caching.errors import BadUri, RefusedObject, UnreachableObject
from nearside.caching.sources import Wanted
from nearside.uri import Remote, WebAddress

MAX_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": "80", "https": "443"}
# What signs a URL, in lower case: S3's and Google's as a prefix; then S3's older form's, which others have too, and
# CloudFront's, Alibaba's, Tencent's, Azure's: each by the parameter that proves it, with another but the end's.
_SIGNED = ("x-amz-", "x-goog-")
_SIGNED_OTHERWISE = {
    "signature": {
        "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "accesskeyid", "signature", "expires", "policy",
        "key-pair-id", "hash-algorithm", "security-token", "x-obs-security-token",
    },
    "x-oss-signature": {
        "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-expires",
        "x-oss-additional-headers", "x-oss-security-token",
    },
    "q-signature": {
        "q-signature", "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list",
        "x-cos-security-token",
    },
    "sig": {
        "sig", "se", "st", "sp", "sv", "sr", "sip", "spr", "ss", "srt", "sks", "skv", "ske", "skt", "skoid", "sktid",
    },
}  # fmt: skip
_SECRET_LENGTH = 8
_NOT_SIGNATURES = {"x-amz-checksum-mode"}
# Who signed: the parameters that say it, up to the first slash.
_SIGNERS = (
    "x-goog-credential", "googleaccessid", "x-oss-credential", "ossaccesskeyid", "q-ak", "accesskeyid",
)  # fmt: skip
# What lets somebody in by itself, in lower case without `-` and `_`.
_TOKENS = {
    "token", "accesstoken", "authtoken", "idtoken", "refreshtoken", "privatetoken", "sessiontoken", "securitytoken",
    "jwt", "apikey", "xapikey", "accesskey", "subscriptionkey", "secret", "clientsecret", "auth",
    "authorization", "password", "passwd", "pwd", "sig", "sign", "signature", "xosssignature", "qsignature", "hmac",
    "hdnea", "hdnts", "xosssecuritytoken", "xcossecuritytoken", "xobssecuritytoken",
}  # fmt: skip


class Web(msgspec.Struct, frozen=True):
    """The parts of a web address: `base` is its scheme and host in lower case, with the port where it is not the
    scheme's own; `target` its path and query as they stand; `user` what stands before the `@`."""

    base: str
    target: str
    user: str = ""

    @property
    def shown(self) -> str:
        """The address without its query, which may sign it, for messages."""
        return self.base + self.target.partition("?")[0]


def web(url: str) -> Web:
    """The parts of `url`; a fragment is left out. Raises BadUri when it is not an `http` or `https` URL of a host."""
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    target = rest[len(authority) :].partition("#")[0]
    user, _, host = authority.rpartition("@")
    if scheme not in _PORTS or not found or not re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:]+)(:\d{0,5})?", host):
        raise BadUri(f"{scheme[:20]}://{host[:80]} is no address of the web")
    try:
        host = host.lower() if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise BadUri(f"{scheme}://{host[:80]} is no address of the web") from None
    host = host.removesuffix(":").removesuffix(":" + _PORTS[scheme])
    return Web(f"{scheme}://{host}", target if target.startswith("/") else "/" + target, user)


def without_secrets(url: str) -> str:
    """The URL as it may be stored or shown: without a password, what signs it, and tokens."""
    parts = web(url)
    name = parts.user.partition(":")[0]
    start = parts.base.replace("://", f"://{name}@") if name else parts.base
    return start + _unsigned(parts.target)[0]


class HttpSource:
    """Exactly one URL; implements `nearside.caching.sources.Source`. `headers` go out with each request to its host.

    Redirects are followed when `follow` is set: at most 10, never from https to http, and to another host without
    `headers` and password. Otherwise one is an UnreachableObject.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        follow: bool = False,
        wire: Wire | None = None,
        name: str = "",
    ) -> None:
        self._parts = web(url)
        self._headers = {key.lower(): value for key, value in (headers or {}).items()}
        self._follow = follow
        self._wire = wire or Wire()
        self.name = name or self._parts.base.partition("://")[2]

    def open(self, wanted: Wanted) -> Reply:
        """One GET, and those that it is redirected to. Raises as `Source.open`, and BadUri for a host that is none."""
        parts, own = self._parts, self._headers
        for _ in range(MAX_REDIRECTS + 1):
            headers = {**own, **_basic(parts.user), **asking(wanted)}
            reply = self._wire.send(self._called(parts), parts.base, parts.target, headers)
            if reply.status in SERVED:
                return reply
            if not (self._follow and reply.status in _REDIRECTS and "location" in reply.headers):
                raise error_of(self._called(parts), self._parts.shown, reply, secrets=_hidden(parts, own))
            reply.small()
            before, parts = parts, self._next(parts, reply.headers["location"])
            if parts.base != before.base:
                own = {}
        raise UnreachableObject(f"{self._parts.shown} redirects more than {MAX_REDIRECTS} times")

    def _called(self, parts: Web) -> str:
        return self.name if parts is self._parts else parts.base.partition("://")[2]

    def _next(self, now: Web, location: str) -> Web:
        location = location.encode("latin-1", "replace").decode("utf-8", "replace")  # as http.client reads headers
        try:
            then = web(urljoin(now.base + now.target, location))
        except ValueError:  # also BadUri
            raise RefusedObject(f"{self._parts.shown} redirects to what is no address of the web") from None
        if now.base.startswith("https:") and not then.base.startswith("https:"):
            raise RefusedObject(f"{self._parts.shown} redirects from https to plain http: not followed")
        return then if then.user or then.base != now.base else Web(then.base, then.target, now.user)


class WebAddresses:
    """Reads WebAddress; implements `nearside.caching.sources.FindsSources`. `headers` are sent with every request, but
    never to another host that one redirects to."""

    def __init__(self, headers: Mapping[str, str] | None = None, *, wire: Wire | None = None) -> None:
        self._headers = headers
        self._wire = wire or Wire()

    def identity(self, remote: Remote, account: str | None = None) -> Sequence[str]:
        """`web`, the URL without what lets somebody in, and who that is: the URL's user or the account that signed it,
        and hashes of tokens, so that no two share. There are no other accounts: `account` says nothing."""
        parts = web(_url(remote))
        target, signer, tokens = _unsigned(parts.target)
        who = unquote(parts.user.partition(":")[0]) or signer
        return ("web", parts.base + target, " ".join(filter(None, (who, tokens))))

    def shown(self, remote: Remote) -> str:
        """The URL without password, signature and tokens. Raises BadUri for what is no web address."""
        return without_secrets(_url(remote))

    def sources(self, remote: Remote) -> Sequence[HttpSource]:
        """The one source. Raises BadUri for what is no web address."""
        return (HttpSource(_url(remote), self._headers, follow=True, wire=self._wire),)


def asking(wanted: Wanted) -> dict[str, str]:
    """The headers that ask for what is wanted."""
    headers = {"accept-encoding": "identity", "user-agent": USER_AGENT}
    if wanted.range:
        headers["range"] = wanted.range
    if wanted.if_match:
        headers["if-match"] = wanted.if_match
    if wanted.if_none_match:
        headers["if-none-match"] = wanted.if_none_match
    if wanted.if_modified_since:
        headers["if-modified-since"] = wanted.if_modified_since
    return headers


def _url(remote: Remote) -> str:
    if not isinstance(remote, WebAddress):
        raise BadUri(f"{remote} is no web address")
    return remote.url


def _basic(user: str) -> dict[str, str]:
    """RFC 7617's header for what stands before a URL's `@`."""
    if not user:
        return {}
    name, _, password = user.partition(":")
    return {"authorization": "Basic " + base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()}


def _hidden(parts: Web, headers: Mapping[str, str]) -> list[str]:
    """What may let somebody in, and so is in no message: long values of the query and of headers, the password."""
    values = [pair.partition("=")[2] for pair in parts.target.partition("?")[2].split("&")]
    found = [*values, *map(unquote_plus, values), *headers.values(), unquote(parts.user.partition(":")[2])]
    return [each for each in found if len(each) >= _SECRET_LENGTH]


def _unsigned(target: str) -> tuple[str, str, str]:
    """A path and query without the parameters that let somebody in; who signed, an account of AWS or a key's name; and
    hashes of the tokens."""
    path, mark, query = target.partition("?")
    if not mark:
        return target, "", ""
    pairs = [(unquote_plus(pair.partition("=")[0]).lower(), pair) for pair in query.split("&")]
    signing = _signing({name for name, _ in pairs})
    values = [(name, unquote_plus(pair.partition("=")[2])) for name, pair in pairs]
    tokens = sorted((name, value) for name, value in values if name not in signing and _is_token(name))
    kept = [pair for name, pair in pairs if name not in signing and not _is_token(name)]
    signer = _signer({name: value for name, value in values if name in signing})
    hashes = (f"{name}:{hashlib.sha256(value.encode()).hexdigest()[:16]}" for name, value in tokens)
    return (f"{path}?{'&'.join(kept)}" if kept else path), signer, " ".join(hashes)


def _signing(names: Collection[str]) -> set[str]:
    """Those of the parameters that sign."""
    found = {name for name in names if name.startswith(_SIGNED)} - _NOT_SIGNATURES
    for proof, group in _SIGNED_OTHERWISE.items():
        if proof in names and group.intersection(names) - {proof, "expires"}:
            found |= group.intersection(names)
    return found


def _signer(values: Mapping[str, str]) -> str:
    by = values.get("x-amz-credential") or values.get("awsaccesskeyid") or ""
    if by:
        return account_of(by.partition("/")[0])
    return next((value.partition("/")[0] for name in _SIGNERS if (value := values.get(name, ""))), "")


def _is_token(name: str) -> bool:
    return name.replace("-", "").replace("_", "") in _TOKENS
