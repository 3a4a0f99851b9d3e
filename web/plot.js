/** @file How long copies took, over time: a line for the middle one and one for the slowest hundredth, per place. */
import { h, replace, svg } from "./dom.js";
import { duration, moment, plural } from "./format.js";

/** @typedef {{ at: string, place: string, p50_ms: number, p99_ms: number, count: number }} Point */

const HEIGHT = 240;
const LEFT = 58;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 28;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
  1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 86_400_000];
const MINUTE = 60_000;
const HOUR = 3_600_000;
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Round values up to over the highest, about five of them. @param {number} most */
function ticks(most) {
  const step = STEPS.find((each) => most / each <= 5) ?? STEPS[STEPS.length - 1];
  return Array.from({ length: Math.max(1, Math.ceil(most / step)) + 1 }, (_, index) => index * step);
}

/** Round times of the clock, no more than there is room for. @param {number} from @param {number} to @param {number} most */
function clocks(from, to, most) {
  const step = [5, 10, 15, 30, 60, 120, 180, 360, 720].map((minutes) => minutes * MINUTE).find((each) => (to - from) / each <= most) ?? 24 * HOUR;
  const found = [];
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) found.push(at);
  return found;
}

/** A line that breaks where nothing was measured. @param {Point[]} points @param {(p: Point) => [number, number]} place @param {number} gapMs */
function path(points, place, gapMs) {
  let before = -Infinity;
  return points.map((point) => {
    const now = Date.parse(point.at);
    const [x, y] = place(point).map((n) => Math.round(n * 10) / 10);
    const move = now - before > gapMs ? "M" : "L";
    before = now;
    return `${move}${x} ${y}`;
  }).join("");
}

/** @param {Map<string, Point[]>} series @param {number} from @param {number} to @param {number} stepMs @param {number} width */
function drawing(series, from, to, stepMs, width) {
  const all = [...series.values()].flat();
  const lines = ticks(Math.max(1, ...all.map((point) => point.p99_ms)));
  const most = lines[lines.length - 1];
  const x = (/** @type {number} */ at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - RIGHT);
  const y = (/** @type {number} */ ms) => HEIGHT - BOTTOM - (ms / most) * (HEIGHT - TOP - BOTTOM);
  const grid = lines.map((ms) => [svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(ms), y2: y(ms), class: "rule" }),
    svg("text", { x: LEFT - 8, y: y(ms) + 4, class: "end" }, ms ? duration(ms) : "0")]);
  const times = clocks(from, to, width / 90).filter((at) => x(at) < width - 30).map((at) => svg("text", { x: x(at), y: HEIGHT - 8, class: "middle" }, CLOCK.format(at)));
  const curves = [...series].map(([, points], index) => {
    const at = (/** @type {Point} */ point) => x(Date.parse(point.at));
    const lone = points.map((point) => svg("circle", { cx: at(point), cy: y(point.p50_ms), r: 2.6, class: `mark s${index % 6}` },
      svg("title", {}, `${point.place}, ${CLOCK.format(Date.parse(point.at))}: half within ${duration(point.p50_ms)}, 99 of 100 within ${duration(point.p99_ms)}, ${plural(point.count, "copy", "copies")}`)));
    return [svg("path", { d: path(points, (p) => [at(p), y(p.p99_ms)], stepMs * 2.5), class: `curve high s${index % 6}` }),
      svg("path", { d: path(points, (p) => [at(p), y(p.p50_ms)], stepMs * 2.5), class: `curve s${index % 6}` }), lone];
  });
  const names = [...series.keys()].join(", ");
  return svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "plot", role: "img", "aria-label": `Lag of copies to ${names} over the last 24 hours; the table below has the numbers` }, grid, times, curves);
}

/** @param {Point[]} points */
function table(points) {
  const newest = points.slice().sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, 100);
  return h("details", { class: "as-table" }, h("summary", {}, "The numbers as a table"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lag as a table" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Time", "Place", "Half within", "99 of 100 within", "Copies"].map((words) => h("th", { scope: "col" }, words)))),
      h("tbody", {}, newest.map((point) => h("tr", {}, h("td", {}, moment(point.at)), h("td", {}, point.place),
        h("td", {}, duration(point.p50_ms)), h("td", {}, duration(point.p99_ms)), h("td", {}, point.count)))))));
}

/**
 * @param {HTMLElement} element
 * @param {{ step_seconds: number, points: Point[] }} lag
 * @param {number} spanHours
 */
export function drawPlot(element, lag, spanHours) {
  if (!lag.points.length) {
    return replace(element, h("p", { class: "quiet" }, `Nothing arrived anywhere in the last ${spanHours} hours, so there is no lag to show. Upload something.`));
  }
  /** @type {Map<string, Point[]>} */
  const series = new Map();
  for (const point of lag.points.slice().sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    series.set(point.place, [...(series.get(point.place) ?? []), point]);
  }
  const to = Date.now();
  const oldest = Math.min(...lag.points.map((point) => Date.parse(point.at)));
  // A world that was started a minute ago is not shown as a speck at the edge of a day.
  const span = Math.min(spanHours * HOUR, Math.max(HOUR, (to - oldest) * 1.1));
  const legend = [...series.keys()].map((place, index) => h("li", {}, h("span", { class: `swatch s${index % 6}` }), place));
  const open = element.querySelector("details")?.open ?? false;
  replace(element, drawing(series, to - span, to, lag.step_seconds * 1000, Math.max(260, element.clientWidth || 720)),
    h("ul", { class: "legend" }, legend, h("li", {}, h("span", { class: "swatch line" }), "half within"), h("li", {}, h("span", { class: "swatch line dashed" }), "99 of 100 within")),
    table(lag.points));
  const details = element.querySelector("details");
  if (details) details.open = open;
}
