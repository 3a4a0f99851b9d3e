/**
 * @file Nearside's API for a page: copy this file, or import it. No dependencies.
 *
 *     const nearside = createClient({ api: "https://api.example.com", token: async () => myToken });
 *     const { content } = await nearside.list("images/", { details: true });
 *     const { items } = await nearside.presign(content.map(({ name }) => ({ key: name })));
 *
 * Each call takes `{ signal }` last; a refusal is thrown as a NearsideError. Types: api.d.ts, made from openapi.json.
 */

/** @typedef {import("./api.d.ts").Routes} Routes */
/** @template {keyof Routes} K @typedef {Routes[K]["answer"]} Answer */
/** @template {keyof Routes} K @typedef {Routes[K]["query"]} Query */
/** @template {keyof Routes} K @typedef {Routes[K]["body"]} Body */
/** @typedef {{ signal?: AbortSignal }} Options */

/** What the API refused, in its own words; `status` 0 when it could not be reached. */
export class NearsideError extends Error {
  /** @param {string} message @param {number} status @param {string} code @param {ErrorOptions} [options] */
  constructor(message, status, code, options) {
    super(message, options);
    this.name = "NearsideError";
    this.status = status;
    this.code = code;
  }
}

/** A key or an id in a path: parts that a URL would swallow (`a//b`, `a/../b`) stay when their slashes are encoded too. @param {string} key */
const path = (key) => {
  const parts = key.split("/");
  return parts.some((part) => /^\.{0,2}$/.test(part)) ? encodeURIComponent(key) : parts.map(encodeURIComponent).join("/");
};

/** @param {Record<string, unknown>} query */
const search = (query) => {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
};

/** @typedef {Record<string, string> | (() => Record<string, string>)} Headers sent with every call */
/** @typedef {{ api: string, token?: () => Promise<string | null>, fetch?: typeof globalThis.fetch, headers?: Headers }} Config */
/** @typedef {(method: string, where: string, body?: unknown, options?: Options) => Promise<any>} Call */

/** @param {Config} config @returns {Call} */
function caller({ api, token = async () => null, fetch = globalThis.fetch, headers = {} }) {
  const base = api.replace(/\/$/, "");
  return async (method, where, body, { signal } = {}) => {
    const bearer = await token();
    const sent = { ...(typeof headers === "function" ? headers() : headers), ...(bearer && { authorization: `Bearer ${bearer}` }), ...(body !== undefined && { "content-type": "application/json" }) };
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch.call(globalThis, base + where, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal });
    } catch (cause) {
      if (signal?.aborted) throw cause;
      throw new NearsideError("The API cannot be reached. Check the connection, then try again.", 0, "Unreachable", { cause });
    }
    const said = await answer.json().catch(() => null);
    if (answer.ok && said !== null) return said;
    const message = said?.message || said?.error || `The API answered ${answer.status} without words.`;
    throw new NearsideError(message, answer.status, said?.message ? said.error : "");
  };
}

/** @param {Call} call */
const uploadsOf = (call) => ({
  /** @param {Body<"POST /uploads">} body @param {Options} [options] @returns {Promise<Answer<"POST /uploads">>} */
  begin: (body, options) => call("POST", "/uploads", body, options),
  /** @param {Options} [options] @returns {Promise<Answer<"GET /uploads">>} */
  list: (options) => call("GET", "/uploads", undefined, options),
  /** @param {string} id @param {Options} [options] @returns {Promise<Answer<"GET /uploads/{id}">>} */
  show: (id, options) => call("GET", `/uploads/${path(id)}`, undefined, options),
  /** @param {string} id @param {Body<"POST /uploads/{id}/parts">} body @param {Options} [options] @returns {Promise<Answer<"POST /uploads/{id}/parts">>} */
  parts: (id, body, options) => call("POST", `/uploads/${path(id)}/parts`, body, options),
  /** @param {string} id @param {Body<"POST /uploads/{id}/complete">} body @param {Options} [options] @returns {Promise<Answer<"POST /uploads/{id}/complete">>} */
  complete: (id, body, options) => call("POST", `/uploads/${path(id)}/complete`, body, options),
  /** @param {string} id @param {Options} [options] @returns {Promise<Answer<"DELETE /uploads/{id}">>} */
  abort: (id, options) => call("DELETE", `/uploads/${path(id)}`, undefined, options),
});

/** @param {Config} config */
export function createClient(config) {
  const call = caller(config);
  return {
    /** @param {string} [folder] @param {Omit<Query<"GET /list-bucket-content">, "prefix">} [query] @param {Options} [options] @returns {Promise<Answer<"GET /list-bucket-content">>} */
    list: (folder = "", query = {}, options) => call("GET", `/list-bucket-content${search({ ...query, prefix: folder })}`, undefined, options),
    /**
     * @template {import("./api.d.ts").Item | import("./api.d.ts").Item[]} T
     * @param {T} items @param {Options} [options]
     * @returns {Promise<T extends unknown[] ? import("./api.d.ts").Presigns : import("./api.d.ts").Presigned>}
     */
    presign: (items, options) => call("POST", "/presign", Array.isArray(items) ? { items } : items, options),
    /** @param {Options} [options] @returns {Promise<Answer<"GET /health">>} */
    health: (options) => call("GET", "/health", undefined, options),
    /** @param {Options} [options] @returns {Promise<Answer<"GET /backends">>} */
    backends: (options) => call("GET", "/backends", undefined, options),
    /** @param {Options} [options] @returns {Promise<Answer<"GET /mrap">>} */
    mrap: (options) => call("GET", "/mrap", undefined, options),
    /** @param {Options} [options] @returns {Promise<Answer<"GET /openapi.json">>} */
    openapi: (options) => call("GET", "/openapi.json", undefined, options),
    /** @param {Options} [options] @returns {Promise<Answer<"GET /replication/health">>} */
    replicationHealth: (options) => call("GET", "/replication/health", undefined, options),
    /** @param {string} key @param {Options} [options] @returns {Promise<Answer<"GET /replication/objects/{key}">>} */
    replicationObject: (key, options) => call("GET", `/replication/objects/${path(key)}`, undefined, options),
    /** @param {string[]} keys @param {Options} [options] @returns {Promise<Answer<"POST /replication/objects">>} */
    replicationObjects: (keys, options) => call("POST", "/replication/objects", { keys }, options),
    /** @param {number} [hours] @param {Options} [options] @returns {Promise<Answer<"GET /replication/lag">>} */
    replicationLag: (hours, options) => call("GET", `/replication/lag${search({ hours })}`, undefined, options),
    /** @param {Body<"POST /replication/repair">} [body] @param {Options} [options] @returns {Promise<Answer<"POST /replication/repair">>} */
    repair: (body = {}, options) => call("POST", "/replication/repair", body, options),
    /** @param {Query<"GET /api/replicas/status">} [query] @param {Options} [options] @returns {Promise<Answer<"GET /api/replicas/status">>} */
    replicas: (query = {}, options) => call("GET", `/api/replicas/status${search(query)}`, undefined, options),
    /** @param {Query<"GET /api/operations/log">} [query] @param {Options} [options] @returns {Promise<Answer<"GET /api/operations/log">>} */
    operations: (query = {}, options) => call("GET", `/api/operations/log${search(query)}`, undefined, options),
    uploads: uploadsOf(call),
  };
}

/** @typedef {ReturnType<typeof createClient>} Client */
