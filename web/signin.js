/** @file Who uses the page: nobody has to say, or an OpenID Connect provider says it. */

/**
 * @typedef {{ mode: "none" | "jwt", issuer?: string, client_id?: string, scope?: string, token?: "access_token" | "id_token" }} Auth
 * @typedef {{ token: () => Promise<string | null>, who: string | null, signOut: () => Promise<void> }} SignedIn
 */

/**
 * With `mode: "none"` nobody has to sign in; else the browser goes to the provider and comes back.
 * @param {{ auth?: Auth }} config @returns {Promise<SignedIn>}
 */
export async function signIn({ auth = { mode: "none" } }) {
  if (auth.mode === "none") return { token: async () => null, who: null, signOut: async () => {} };
  return (await import("./signin-oidc.js")).signInAt(auth);
}
