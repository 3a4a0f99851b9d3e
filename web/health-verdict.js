/** @file Health in a word, with its reasons. */

/**
 * @typedef {"good" | "waiting" | "bad" | "unknown"} Shade
 * @typedef {{ word: string, shade: Shade, summary: string, reasons: { shade: Shade, what: string, fix: string }[], unknown: string[], error: any }} Said
 */

/** A sentence; the name of a place that begins it stays as it is. @param {string} text */
function begun(text) {
  const first = /^[a-z]+[ ,:;]/u.test(text) ? text.charAt(0).toUpperCase() : text.charAt(0);
  return `${first}${text.slice(1).replace(/[.]+$/u, "")}.`;
}

/** @param {Record<string, string>} states */
function downs(states) {
  return Object.entries(states).filter(([, state]) => !["up", "disabled"].includes(state));
}

/**
 * @param {import("./api.d.ts").ReplicationHealth | null} whole
 * @param {Record<string, string>} states
 * @param {any} error
 * @returns {Said}
 */
export function verdictOf(whole, states, error) {
  const down = downs(states);
  const all = Object.keys(states).length;
  const reasons = down.map(([name, state]) => ({
    shade: /** @type {Shade} */ ("bad"), what: begun(state.startsWith(name.replace("gateway/", "")) ? `the gateway's ${state}` : `${name} ${state}`),
    fix: name.startsWith("gateway/") ? "The gateway reads and writes elsewhere meanwhile, and catches up by itself." : "Reads go to the other places meanwhile; what was not replicated before is not to be had until it is back.",
  }));
  // That a place which is down cannot be asked for this and that is no news.
  const isNews = (/** @type {string} */ what) => !(/cannot be|not known/u.test(what) && down.some(([name]) => what.includes(name)));
  for (const reason of (whole?.reasons ?? []).filter(({ what }) => isNews(what))) {
    reasons.push({ shade: reason.verdict === "broken" ? "bad" : reason.verdict === "behind" ? "waiting" : "unknown", what: begun(reason.what), fix: begun(reason.fix) });
  }
  const [word, shade, summary] = theWord(whole, down.length, all, error);
  return { word, shade, summary, reasons, unknown: whole?.unknown ?? [], error };
}

/** @param {import("./api.d.ts").ReplicationHealth | null} whole @param {number} down @param {number} all @param {any} error @returns {[string, Shade, string]} */
function theWord(whole, down, all, error) {
  if (all && down === all) return ["Down", "bad", "No place answers."];
  if (whole?.verdict === "broken") return ["Broken", "bad", "Something will not arrive unless somebody does something."];
  if (down) return ["Degraded", "waiting", `${down} of ${all} places ${down === 1 ? "does" : "do"} not answer. What is elsewhere is still served.`];
  if (!whole) return error?.status === 403 ? ["Hidden", "unknown", "You may not see the health of replication: it needs the right to read the whole bucket."] : ["Unknown", "unknown", "The health of replication cannot be told now."];
  if (whole.verdict === "behind") return ["Behind", "waiting", "Everything will arrive, but some of it late."];
  const pending = whole.places.reduce((sum, place) => sum + (place.pending ?? 0), 0);
  return ["Healthy", "good", pending ? `Every place is up, and ${pending} ${pending === 1 ? "copy is" : "copies are"} on the way.` : "Every place is up and has everything."];
}
