/** @file The places on a map of the world, and between them the rules that replicate. */
import { replace, svg } from "./dom.js";
import { OUTLINES } from "./map-outline.js";

/**
 * @typedef {"good" | "waiting" | "bad" | "unknown"} Shade
 * @typedef {{ name: string, label: string, title: string, shade: Shade, at: [number, number], gateway: boolean }} Spot
 * @typedef {{ from: string, to: string, shade: Shade, title: string }} Way
 */

const WIDTH = 720;
const TOP = 78;
const BOTTOM = -57;
const HEIGHT = (TOP - BOTTOM) * 2;

/** As `layers/nearside/nearside/geography.py` has them: latitude, longitude. @type {Record<string, [number, number]>} */
const REGIONS = {
  "af-south-1": [-33.9, 18.4], "ap-east-1": [22.3, 114.2], "ap-east-2": [25, 121.5], "ap-northeast-1": [35.7, 139.7],
  "ap-northeast-2": [37.6, 127], "ap-northeast-3": [34.7, 135.5], "ap-south-1": [19.1, 72.9], "ap-south-2": [17.4, 78.5],
  "ap-southeast-1": [1.4, 103.8], "ap-southeast-2": [-33.9, 151.2], "ap-southeast-3": [-6.2, 106.8], "ap-southeast-4": [-37.8, 145],
  "ap-southeast-5": [3.1, 101.7], "ap-southeast-6": [-36.8, 174.8], "ap-southeast-7": [13.8, 100.5], "ca-central-1": [45.5, -73.6],
  "ca-west-1": [51, -114.1], "cn-north-1": [39.9, 116.4], "cn-northwest-1": [37.5, 105.2], "eu-central-1": [50.1, 8.7],
  "eu-central-2": [47.4, 8.5], "eu-north-1": [59.3, 18.1], "eu-south-1": [45.5, 9.2], "eu-south-2": [41.6, -0.9],
  "eu-west-1": [53.3, -6.3], "eu-west-2": [51.5, -0.1], "eu-west-3": [48.9, 2.4], "il-central-1": [32.1, 34.8],
  "me-central-1": [24.5, 54.4], "me-south-1": [26.1, 50.6], "mx-central-1": [20.6, -100.4], "sa-east-1": [-23.5, -46.6],
  "us-east-1": [38.9, -77.4], "us-east-2": [40, -83], "us-gov-east-1": [40, -83], "us-gov-west-1": [45.8, -119.7],
  "us-west-1": [37.4, -122], "us-west-2": [45.8, -119.7],
};

/** The ends of zone codes such as `eu-ham`: three letters of a city. @type {Record<string, [number, number]>} */
const CITIES = {
  ams: [52.4, 4.9], atl: [33.7, -84.4], blr: [13, 77.6], bom: [19.1, 72.9], chi: [41.9, -87.6], dal: [32.8, -96.8], dub: [53.3, -6.3],
  fra: [50.1, 8.7], ham: [53.6, 10], hel: [60.2, 24.9], iad: [38.9, -77.4], lax: [34, -118.2], lon: [51.5, -0.1], mil: [45.5, 9.2],
  mad: [40.4, -3.7], nyc: [40.7, -74], osa: [34.7, 135.5], par: [48.9, 2.4], pdx: [45.6, -122.6], phx: [33.4, -112.1], sac: [38.6, -121.5],
  sea: [47.6, -122.3], sfo: [37.8, -122.4], sgp: [1.3, 103.8], sin: [1.3, 103.8], sto: [59.3, 18.1], syd: [-33.9, 151.2], tok: [35.7, 139.7],
  tyo: [35.7, 139.7], tor: [43.7, -79.4], waw: [52.2, 21], zrh: [47.4, 8.5],
};

/** Where a viewer may pretend to be. @type {Record<string, [number, number]>} */
const VIEWERS = { eu: [51, 9], us: [39, -95], asia: [1.4, 103.8], uk: [53, -2] };

/** @param {{ region?: string, zone?: string }} place @returns {[number, number] | null} */
export function whereIs({ region = "", zone = "" }) {
  return REGIONS[region] ?? CITIES[zone.split("-").at(-1) ?? ""] ?? REGIONS[zone] ?? null;
}

/** @param {string} name */
export const viewerAt = (name) => VIEWERS[name] ?? REGIONS[name] ?? null;

/** @param {[number, number]} at @returns {[number, number]} */
const point = ([latitude, longitude]) => [(longitude + 180) * 2, (TOP - latitude) * 2];

const land = OUTLINES.map((outline) =>
  `M${outline.map(([longitude, latitude]) => point([latitude, longitude]).map((n) => Math.round(n * 10) / 10).join(" ")).join("L")}Z`).join("");

/** Two in one city stand beside each other. @param {Spot[]} spots @param {number} scale @returns {Map<Spot, [number, number]>} */
function spread(spots, scale) {
  /** @type {Map<Spot, [number, number]>} */
  const placed = new Map();
  for (const spot of spots) {
    let [x, y] = point(spot.at);
    while ([...placed.values()].some(([ox, oy]) => Math.hypot(ox - x, oy - y) < 13 * scale)) { x += 8 * scale; y += 13.5 * scale; } // a line of text apart
    placed.set(spot, [x, y]);
  }
  return placed;
}

/** An arc that bends to its own left, so that the way back is another line. @param {[number, number]} from @param {[number, number]} to */
function arc([x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const bend = 0.22;
  return `M${x1} ${y1}Q${(x1 + x2) / 2 + dy * bend} ${(y1 + y2) / 2 - dx * bend} ${x2} ${y2}`;
}

/** Each shade has a shape too. @param {Shade} shade @param {boolean} gateway */
function mark(shade, gateway) {
  const shape = gateway ? svg("rect", { x: -5, y: -5, width: 10, height: 10, rx: 2 }) : svg("circle", { r: 6 });
  const sign = shade === "bad" ? "M-2.5-2.5l5 5M2.5-2.5l-5 5" : shade === "waiting" ? "M0-3v3h2.5" : shade === "unknown" ? "M-2.5 0h5" : "M-2.7 0l2 2 3.5-4";
  return [shape, svg("path", { d: sign, class: "sign" })];
}

/** Where a name may stand beside its mark: right, left, under, over, further off. @type {[number, number, boolean][]} */
const BESIDE = [[10, 4, false], [-10, 4, true], [7, 18, false], [7, -10, false], [-7, 18, true], [-7, -10, true], [12, 30, false], [12, -22, false], [-12, 30, true]];

/** @typedef {[number, number, number, number]} Box left, top, right, bottom */

/** @param {Box} a @param {Box} b */
const touch = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

/** Names beside their marks so that none covers another. @param {Map<Spot, [number, number]>} placed @param {Box[]} taken @param {number} scale */
function labels(placed, taken, scale) {
  const boxes = [...taken, ...[...placed.values()].map(([x, y]) => /** @type {Box} */ ([x - 7 * scale, y - 7 * scale, x + 7 * scale, y + 7 * scale]))];
  return [...placed].map(([spot, [x, y]]) => {
    const width = spot.label.length * 6.9 * scale;
    const boxAt = (/** @type {[number, number, boolean]} */ [dx, dy, left]) => /** @type {Box} */ (
      [x + dx - (left ? width : 0), y + dy - 10 * scale, x + dx + (left ? 0 : width), y + dy + 3 * scale]);
    const ways = BESIDE.map(([dx, dy, left]) => /** @type {[number, number, boolean]} */ ([dx * scale, dy * scale, left]));
    const free = ways.find((way) => {
      const box = boxAt(way);
      return box[0] > 0 && box[1] > 0 && box[2] < WIDTH && !boxes.some((other) => touch(box, other));
    }) ?? ways[0];
    boxes.push(boxAt(free));
    return svg("text", { x: x + free[0], y: y + free[1], class: free[2] ? "end" : "" }, spot.label);
  });
}

/** @param {Spot} spot @param {[number, number]} at @param {number} scale */
function drawSpot(spot, [x, y], scale) {
  return svg("g", { class: `spot ${spot.shade}`, transform: `translate(${x} ${y}) scale(${scale})` },
    svg("title", {}, `${spot.name}: ${spot.title}`), mark(spot.shade, spot.gateway));
}

/**
 * @param {HTMLElement} element
 * @param {{ spots: Spot[], ways: Way[], viewer: { name: string, at: [number, number] } | null }} what
 */
export function drawMap(element, { spots, ways, viewer }) {
  // On a narrow screen marks and names keep their size while the land shrinks.
  const scale = Math.min(2.6, Math.max(1, WIDTH / (element.clientWidth || WIDTH)));
  const placed = spread(spots, scale);
  const at = new Map([...placed].filter(([spot]) => !spot.gateway).map(([spot, xy]) => [spot.name, xy]));
  const lines = ways.flatMap((way) => {
    const [from, to] = [at.get(way.from), at.get(way.to)];
    return from && to ? [svg("path", { d: arc(from, to), class: `way ${way.shade}`, "marker-end": `url(#tip-${way.shade})` }, svg("title", {}, way.title))] : [];
  });
  const tips = ["good", "waiting", "bad", "unknown"].map((shade) => svg("marker", {
    id: `tip-${shade}`, viewBox: "0 0 8 8", refX: 13, refY: 4, markerWidth: 6, markerHeight: 6, orient: "auto", class: `tip ${shade}`,
  }, svg("path", { d: "M0 0l8 4-8 4z" })));
  const words = [...spots.map((spot) => `${spot.name}: ${spot.title}`), ...ways.map((way) => way.title)].join(". ");
  const eyeAt = viewer ? point(viewer.at) : null;
  const eyeBox = eyeAt ? [/** @type {Box} */ ([eyeAt[0] - 12, eyeAt[1] - 12, eyeAt[0] + 12, eyeAt[1] + 12])] : [];
  const eye = viewer && svg("g", { class: "viewer", transform: `translate(${point(viewer.at).join(" ")}) scale(${scale})` },
    svg("title", {}, `The viewer pretends to be in ${viewer.name}`), svg("circle", { r: 14 }));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "map", role: "img", "aria-label": `Map of the places. ${words}` },
    svg("defs", {}, tips), svg("path", { d: land, class: "land" }), lines,
eye, [...placed].map(([spot, xy]) => drawSpot(spot, xy, scale)), svg("g", { class: "labels" }, labels(placed, eyeBox, scale)));
  drawing.style.setProperty("--scale", String(scale));
  replace(element, drawing);
}
