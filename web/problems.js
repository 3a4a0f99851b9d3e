/** @file What went wrong, in words with what to do. */
import { h } from "./dom.js";

/** @typedef {{ title: string, todo: string, passing: boolean }} Problem `passing`: the same may work a little later */

/** @type {Record<string, string>} */
const TODO = {
  Unauthenticated: "Sign in again: the session is over, or the API does not know it.",
  AccessDenied: "Ask who runs this for the right to it (AccessPolicy), or sign in as somebody else.",
  NoSuchBucket: "The bucket in the settings is not there: see docs/operations.md.",
  EndpointUnreachable: "A region does not answer. Others may: try again, or look at Health.",
  ServiceUnavailable: "Wait a moment and try again.",
  InternalError: "Try again. If it stays, the log has this request under the id in the message.",
  NoCredentials: "The server's own session is over: try again in a minute.",
  Unreachable: "", // its own words say what to do
  InvalidCursor: "Load the folder again.",
};

/** @param {any} error @returns {Problem} */
export function inWords(error) {
  const message = String(error?.message ?? error);
  if (error?.name === "AbortError") return { title: "Stopped.", todo: "", passing: true };
  if (!navigator.onLine) return { title: "You are offline.", todo: "It goes on when the network is back.", passing: true };
  if (error?.status === undefined) {
    const network = error instanceof TypeError;
    const title = network ? "Nothing answers." : message;
    return { title, todo: network ? "Look at your network, and whether the server is running; then try again." : "", passing: true };
  }
  const passing = error.status >= 500 || error.status === 429 || error.status === 0;
  const known = TODO[error.code] ?? (error.status === 0 ? "It may be down, or the network is: try again, or look at Health." : passing ? "Try again in a moment." : "");
  return { title: sentence(message || `${error.code} (${error.status})`), todo: known, passing };
}

/** @param {string} text */
function sentence(text) {
  const namesAPlace = /^\w+-/u.test(text); // eu-west-2 is no sentence's beginning
  const begun = namesAPlace ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/u.test(begun) ? begun : `${begun}.`;
}

/**
 * A box that says it, with a button to try again.
 * @param {any} error
 * @param {(() => void) | null} [again]
 */
export function problemBox(error, again = null) {
  const { title, todo } = inWords(error);
  return h("div", { class: "problem", role: "alert" },
    h("p", {}, h("strong", {}, title), " ", todo),
    again && h("button", { type: "button", onclick: again }, "Try again"));
}
