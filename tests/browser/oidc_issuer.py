"""A tiny OpenID Connect provider for tests: discovery, the code flow with PKCE, refresh, sign-out; no passwords."""

import base64
import hashlib
import json
import time
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl, urlencode

from local.server import Request, Response, Server

CLIENT = "nearside-page"
_FROM_ANYWHERE = (("Access-Control-Allow-Origin", "*"),)


class Issuer:
    """Runs from construction until `close()`. What it is to do otherwise than well is set before it is asked."""

    def __init__(self) -> None:
        self.lifetime_seconds = 3600
        self.gives_refresh_tokens = True
        self.refreshes = True
        self.nonce = ""  # instead of the one that was asked for
        self.audience = CLIENT
        self.refusal = ""  # an error of the authorization endpoint
        self.asked: list[dict[str, str]] = []
        self.grants: list[str] = []
        self.signed_out = 0
        self._codes: dict[str, dict[str, str]] = {}
        self._refresh_tokens: set[str] = set()
        self._serial = 0
        self._server = Server("issuer", self._answer, "127.0.0.1", 0)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Response:
        match request.path:
            case "/.well-known/openid-configuration":
                return _json(
                    200,
                    {
                        "issuer": self.url,
                        "authorization_endpoint": f"{self.url}/authorize",
                        "token_endpoint": f"{self.url}/token",
                        "end_session_endpoint": f"{self.url}/logout",
                    },
                )
            case "/authorize":
                return self._authorize(dict(request.parameters))
            case "/token":
                return self._token(dict(parse_qsl(request.body.decode())))
            case "/logout":
                self.signed_out += 1
                return _moved(dict(request.parameters)["post_logout_redirect_uri"])
        return _json(404, {})

    def _authorize(self, asked: dict[str, str]) -> Response:
        self.asked.append(asked)
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        back = {"state": asked["state"]}
        if self.refusal:
            return _moved(f"{asked['redirect_uri']}?{urlencode(back | {'error': self.refusal})}")
        code = token_urlsafe()
        self._codes[code] = asked
        return _moved(f"{asked['redirect_uri']}?{urlencode(back | {'code': code})}")

    def _token(self, form: dict[str, str]) -> Response:
        self.grants.append(form["grant_type"])
        if form["grant_type"] == "refresh_token":
            if not self.refreshes or form["refresh_token"] not in self._refresh_tokens:
                return _json(400, {"error": "invalid_grant"})
            return _json(200, self._tokens({}))
        asked = self._codes.pop(form["code"], None)
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        if (
            asked is None
            or asked["code_challenge"] != _base64url(challenge)
            or asked["redirect_uri"] != form["redirect_uri"]
            or form["client_id"] != CLIENT
        ):
            return _json(400, {"error": "invalid_grant"})
        return _json(200, self._tokens({"nonce": self.nonce or asked["nonce"]}))

    def _tokens(self, more: dict[str, str]) -> dict[str, Any]:
        self._serial += 1
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.audience, "sub": "alice", "name": "Alice Ü", "iat": now, "exp": now + 60}
        refresh = token_urlsafe()
        self._refresh_tokens.add(refresh)
        return {
            "access_token": f"access-{self._serial}",
            "id_token": _jwt(claims | more),
            "token_type": "Bearer",
            "expires_in": self.lifetime_seconds,
            **({"refresh_token": refresh} if self.gives_refresh_tokens else {}),
        }


def _jwt(claims: dict[str, Any]) -> str:
    parts = [json.dumps(each, ensure_ascii=False).encode() for each in ({"alg": "none"}, claims)]
    return ".".join([*map(_base64url, parts), "signature"])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _moved(to: str) -> Response:
    return Response(302, (("Location", to),))


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(status, (("Content-Type", "application/json"), *_FROM_ANYWHERE), json.dumps(body).encode())
