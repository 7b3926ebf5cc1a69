// Data of the page, elements, names. Must not know: what is shown where.

const DATA = JSON.parse(document.getElementById("data").textContent);
const KINDS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array };

function column({ type, bytes }) {
  const text = atob(bytes);
  const raw = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) raw[i] = text.charCodeAt(i);
  return new KINDS[type](raw.buffer);
}

const byId = (id) => document.getElementById(id);

// An element: attributes as text, functions as listeners, children as text or elements; never as HTML.
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Control characters, and bytes of a file name that are no text, as escapes.
const visible = (text) =>
  text.replace(/[\p{Cc}\p{Cs}\u2028\u2029]/gu, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));

// A name whose writing direction does not reach beyond it.
const named = (text, attributes = {}) => el("bdi", attributes, visible(text));

const LABELS = DATA.labels;
const CLASSES = DATA.classes;
const label = (place) => visible(LABELS[place]);
const percent = (value, digits = 0) => `${(100 * value).toFixed(digits)} %`;
const count = (number) => number.toLocaleString("en");
const many = (number, one, several) => `${count(number)} ${number === 1 ? one : several}`;

// The samples shown, one place for each; `row` is the place in the training set.
const shares = (part) => Float32Array.from(column(part), (value) => value / 0xffff);
const SAMPLES = (() => {
  const { folder, folders, files, neighborCount, ...numbers } = DATA.samples;
  const places = column(folder);
  return {
    length: files.length,
    row: column(numbers.row),
    given: column(numbers.given),
    suggested: column(numbers.suggested),
    second: column(numbers.second),
    review: column(numbers.review), // 0: no; 1: ambiguous; 2: out of distribution
    confidence: shares(numbers.confidence),
    quality: shares(numbers.quality),
    neighbors: column(numbers.neighbors),
    neighborCount,
    name: (i) => folders[places[i]] + files[i],
    text: (i) => DATA.texts[i] ?? "",
  };
})();
const DUPLICATES = new Map(DATA.duplicates.map(([place, name, given]) => [place, { name, given }]));
const PLACE = new Map(Array.from(SAMPLES.row, (row, i) => [row, i]));
const NEAREST = column(DATA.nearest);
const neighborLabels = (i) => SAMPLES.neighbors.subarray(i * SAMPLES.neighborCount, (i + 1) * SAMPLES.neighborCount);
const neighborSamples = (i) => NEAREST.subarray(i * SAMPLES.neighborCount, (i + 1) * SAMPLES.neighborCount);
const LISTS = Object.fromEntries(Object.entries(DATA.groups).map(([name, places]) => [name, column(places)]));
const SETS = new Map(Array.from(column(DATA.sets), (set, k) => [LISTS.duplicates[k], set]));
const FLAGGED = LISTS.flagged.length;

// Pictures: the bytes of image files, which become addresses when they are first shown.
const picture = (() => {
  const index = column(DATA.pictures.index);
  const ends = column(DATA.pictures.ends);
  const bytes = column(DATA.pictures.bytes);
  const place = new Map(Array.from(index, (i, k) => [i, k]));
  const addresses = new Map();
  const type = bytes[0] === 0xff ? "image/jpeg" : "image/webp";
  return (i) => {
    const k = place.get(i);
    if (k === undefined) return null;
    if (!addresses.has(k)) {
      const part = bytes.subarray(k ? ends[k - 1] : 0, ends[k]);
      addresses.set(k, URL.createObjectURL(new Blob([part], { type })));
    }
    return addresses.get(k);
  };
})();
const ANY_PICTURE = DATA.pictures.bytes.bytes !== "";

// Hues of classes, as far from each other as their number allows.
const dark = matchMedia("(prefers-color-scheme: dark)");
function hue(place) {
  if (place >= CLASSES) return null;
  return CLASSES <= 12 ? (place * 360) / Math.max(CLASSES, 3) + 12 : (place * 137.508) % 360;
}
function color(place) {
  const angle = hue(place);
  if (angle === null) return dark.matches ? "hsl(0 0% 60%)" : "hsl(0 0% 50%)";
  const light = (dark.matches ? 62 : 46) + (place % 2 ? 6 : -4);
  return `hsl(${angle.toFixed(0)} 62% ${light}%)`;
}

// Run `draw(width)` now, and again when the width of `box` or the color scheme changes.
function drawn(box, draw) {
  let width = 0;
  const again = () => width && draw(width);
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width || now === 0) return;
    width = now;
    requestAnimationFrame(again);
  }).observe(box);
  dark.addEventListener("change", again);
  return again;
}
