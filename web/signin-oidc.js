/** @file Sign-in by OpenID Connect: the code flow with PKCE (RFC 7636), state and nonce; tokens stay in this tab. */

/**
 * @typedef {import("./signin.js").Auth} Auth
 * @typedef {import("./signin.js").SignedIn} SignedIn
 * @typedef {{ access_token: string, id_token: string, refresh_token?: string, renew_at: number }} Session
 * @typedef {{ issuer: string, authorization_endpoint: string, token_endpoint: string, end_session_endpoint?: string }} Provider
 */

const SESSION = "nearside:session";
const ASKED = "nearside:signing-in";
const SIGNED_OUT = "nearside:signed-out";
const EARLY_SECONDS = 60; // a token that ends within this, or within half its time, is renewed before it is used

/** Why nobody is signed in, in words. */
export class SignInError extends Error {}

/** @param {Uint8Array} bytes */
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

/** Where the provider sends the browser back to: this page, without its query. */
const home = () => `${location.origin}${location.pathname}`;

/** @param {string} name @returns {any} */
function stored(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} jwt @returns {Record<string, any>} what it says; its signature is for the API to judge */
function claimsOf(jwt) {
  try {
    const text = atob(jwt.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch (cause) {
    throw new SignInError("The sign-in service sent a token that cannot be read.", { cause });
  }
}

/** @param {string} url @param {RequestInit} [request] @returns {Promise<any>} */
async function ask(url, request) {
  const answer = await fetch(url, request).catch((cause) => {
    throw new SignInError("The sign-in service cannot be reached. Check the connection, then load the page again.", { cause });
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new SignInError(`The sign-in service refused: ${said.error_description || said.error || answer.status}.`);
  return said;
}

/** @param {Auth} auth @returns {Promise<Provider>} */
async function discover({ issuer = "" }) {
  const found = await ask(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  // OpenID Connect Discovery, 4.3: another issuer's answer is not to be used.
  if (found.issuer !== issuer) throw new SignInError(`The sign-in service calls itself ${found.issuer}, and config.json ${issuer}: they must be the same.`);
  return found;
}

/** Leaves for the provider's page; it comes back to `home()` with a code. @param {Auth} auth @param {Provider} provider @returns {Promise<never>} */
async function leave(auth, provider) {
  const asked = { state: random(), nonce: random(), verifier: random(), hash: location.hash };
  sessionStorage.setItem(ASKED, JSON.stringify(asked));
  const challenge = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(asked.verifier)));
  const url = new URL(provider.authorization_endpoint);
  for (const [name, value] of Object.entries({
    response_type: "code", client_id: auth.client_id ?? "", redirect_uri: home(), scope: auth.scope || "openid",
    state: asked.state, nonce: asked.nonce, code_challenge: base64url(challenge), code_challenge_method: "S256",
  })) url.searchParams.set(name, value);
  location.assign(url);
  return new Promise(() => {}); // the page ends here
}

/** @param {Auth} auth @param {Provider} provider @param {Record<string, string>} grant @param {Session | null} before @returns {Promise<Session>} */
async function tokens(auth, provider, grant, before) {
  const body = new URLSearchParams({ client_id: auth.client_id ?? "", ...grant });
  const said = await ask(provider.token_endpoint, { method: "POST", body });
  const id_token = said.id_token ?? before?.id_token;
  if (!said.access_token || !id_token) throw new SignInError("The sign-in service sent no token.");
  const refresh_token = said.refresh_token ?? before?.refresh_token;
  const seconds = Number(said.expires_in) || 300;
  const renew_at = Date.now() + (seconds - Math.min(EARLY_SECONDS, seconds / 2)) * 1000;
  const session = { access_token: said.access_token, id_token, refresh_token, renew_at };
  sessionStorage.setItem(SESSION, JSON.stringify(session));
  return session;
}

/** The provider sent the browser back: its code against tokens. @param {Auth} auth @param {Provider} provider @param {URLSearchParams} query @returns {Promise<Session>} */
async function redeem(auth, provider, query) {
  const asked = stored(ASKED);
  sessionStorage.removeItem(ASKED);
  history.replaceState(null, "", `${home()}${asked?.hash ?? ""}`); // a code is good once: a reload must not send it again
  if (!asked || query.get("state") !== asked.state) {
    throw new SignInError("This answer does not belong to a sign-in that this page began, so it was not used. Sign in again.");
  }
  if (query.has("error")) throw new SignInError(`The sign-in service says: ${query.get("error_description") || query.get("error")}.`);
  const grant = { grant_type: "authorization_code", code: query.get("code") ?? "", redirect_uri: home(), code_verifier: asked.verifier };
  const session = await tokens(auth, provider, grant, null);
  const { iss, aud, nonce } = claimsOf(session.id_token);
  if (nonce !== asked.nonce || iss !== provider.issuer || ![aud].flat().includes(auth.client_id)) {
    sessionStorage.removeItem(SESSION);
    throw new SignInError("The sign-in service sent a token that is not meant for this page. Sign in again.");
  }
  return session;
}

/** @param {Auth} auth @param {Provider} provider @returns {Promise<Session>} */
async function begun(auth, provider) {
  const query = new URLSearchParams(location.search);
  if (query.has("state") && (query.has("code") || query.has("error"))) return redeem(auth, provider, query);
  return stored(SESSION) ?? leave(auth, provider);
}

/** Waits at a page of its own until somebody wants to sign in. @param {string} text */
async function atTheDoor(text) {
  const button = document.createElement("button");
  button.textContent = "Sign in";
  const words = document.createElement("p");
  words.textContent = text;
  (document.querySelector("main") ?? document.body).replaceChildren(words, button);
  button.focus();
  await new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
  sessionStorage.removeItem(SIGNED_OUT);
}

/** @param {Auth} auth @param {Provider} provider @param {Session} first @returns {SignedIn} */
function signedIn(auth, provider, first) {
  let session = first;
  /** @type {Promise<Session> | null} */
  let renewing = null;
  const renew = async () => {
    if (!session.refresh_token) return leave(auth, provider); // without a question, while the provider still knows the person
    try {
      return await tokens(auth, provider, { grant_type: "refresh_token", refresh_token: session.refresh_token }, session);
    } catch (error) {
      if (/** @type {any} */ (error).cause) throw error; // not reached: the session may be good
      sessionStorage.removeItem(SESSION);
      return leave(auth, provider);
    }
  };
  const claims = claimsOf(session.id_token);
  return {
    who: String(claims.name || claims.email || claims.preferred_username || claims.sub || "somebody"),
    async token() {
      if (Date.now() > session.renew_at) {
        renewing ??= renew().finally(() => { renewing = null; }); // of many calls at once, one renews
        session = await renewing;
      }
      return session[auth.token ?? "access_token"];
    },
    async signOut() {
      sessionStorage.removeItem(SESSION);
      sessionStorage.setItem(SIGNED_OUT, "true");
      if (!provider.end_session_endpoint) return location.reload();
      const url = new URL(provider.end_session_endpoint);
      for (const [name, value] of Object.entries({ id_token_hint: session.id_token, client_id: auth.client_id ?? "", post_logout_redirect_uri: home() })) url.searchParams.set(name, value);
      location.assign(url);
    },
  };
}

/** Goes to the provider and comes back, or goes on with this tab's session. @param {Auth} auth @returns {Promise<SignedIn>} */
export async function signInAt(auth) {
  if (!auth.issuer || !auth.client_id) throw new SignInError("config.json asks for a sign-in, and has no auth.issuer or no auth.client_id.");
  if (stored(SIGNED_OUT)) await atTheDoor("You are signed out.");
  for (;;) {
    try {
      const provider = await discover(auth);
      return signedIn(auth, provider, await begun(auth, provider));
    } catch (error) {
      if (!(error instanceof SignInError)) throw error;
      await atTheDoor(error.message);
    }
  }
}
