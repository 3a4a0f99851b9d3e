/** @file The switch between the system's colours, light and dark. */
import { h, replace, svg } from "./dom.js";

const KEPT = "nearside:theme";
const HALF = "M8 2.5a5.5 5.5 0 1 0 .1 0M8 2.5a5.5 5.5 0 0 0 0 11z";
const SUN = "M8 4.8a3.2 3.2 0 1 0 .1 0M8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1";
const MOON = "M13 9.6A5.4 5.4 0 0 1 6.4 3 5.4 5.4 0 1 0 13 9.6z";
/** @type {Record<string, [string, string]>} */
const THEMES = { auto: ["as the system", HALF], light: ["light", SUN], dark: ["dark", MOON] };

/** Where a browser keeps nothing for pages, the choice lasts as long as the page. */
function kept() {
  try { return localStorage.getItem(KEPT) ?? "auto"; } catch { return "auto"; }
}

/** @param {string} theme */
function keep(theme) {
  try { localStorage.setItem(KEPT, theme); } catch { /* see above */ }
}

export function themeButton() {
  const button = h("button", { type: "button", class: "plain square theme" });
  /** @param {string} theme */
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    const [words, path] = THEMES[theme];
    button.setAttribute("aria-label", `Colours: ${words}`);
    button.title = `Colours: ${words}`;
    replace(button, svg("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, svg("path", { d: path })));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % names.length];
    keep(next);
    set(next);
  });
  const stored = kept();
  set(stored in THEMES ? stored : "auto");
  return button;
}
