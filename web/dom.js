/** @file Elements made from values: text is always text, never markup. */

/** @typedef {Node | string | number | null | undefined | false} Leaf */
/** @typedef {Leaf | (Leaf | (Leaf | Leaf[])[])[]} Child what nothing is made of is left out, arrays are flattened */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {Element} element
 * @param {string} name
 * @param {any} value a function listens, true and false are an attribute's presence
 */
function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(name.slice(2).toLowerCase(), value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, any>} attributes
 * @param {any[]} children
 * @returns {E}
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) setAttribute(element, name, value);
  element.append(...kept(children));
  return element;
}

/** @param {any[]} children @returns {(Node | string)[]} */
function kept(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * An element: `h("a", { href: "#/", class: "crumb", onclick: open }, "Home")`.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/**
 * An element of a drawing.
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(name, attributes = {}, ...children) {
  return fill(/** @type {SVGElement} */ (document.createElementNS(SVG, name)), attributes, children);
}

/** @param {Element} element @param {...Child} children */
export function replace(element, ...children) {
  element.replaceChildren(...kept(children));
}

/** Says it to who listens to a screen reader. @param {string} text */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (!region) return;
  region.textContent = "";
  // The same words twice are only read twice when the region was empty in between.
  setTimeout(() => { region.textContent = text; }, 60);
}

/** @type {Map<string, Promise<void>>} */
const styles = new Map();

/** Loads a style sheet of the page once; what needs it is shown after that. @param {string} name @returns {Promise<void>} */
export function style(name) {
  const known = styles.get(name) ?? new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: new URL(name, import.meta.url).href, onload: () => resolve(undefined),
      onerror: () => { styles.delete(name); reject(new TypeError(`${name} cannot be loaded`)); } }));
  });
  styles.set(name, known);
  return known;
}
