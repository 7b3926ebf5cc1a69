// Given → suggested: a matrix, or a list of the largest where classes are many. Must not know: cards, decisions.

const DENSE = 30; // classes that a matrix is made of
const LISTED = 45; // pairs, where there is no matrix
const BESIDE = 9; // pairs beside a matrix

const matrix = { chosen: null, choose: () => {} };

function pairButton(given, suggested, n, text) {
  const name = `${label(given)} that should be ${label(suggested)}: ${count(n)}`;
  return el("button", {
    type: "button", "data-pair": `${given}-${suggested}`, "aria-pressed": "false", "aria-label": name, title: name,
    click: () => matrix.choose(given, suggested),
  }, ...text);
}

function denseMatrix() {
  const largest = Math.max(1, ...DATA.pairs.map(([, , n]) => n));
  const found = new Map(DATA.pairs.map(([given, suggested, n]) => [given * CLASSES + suggested, n]));
  const wrong = new Map();
  for (const [given, , n] of DATA.pairs) wrong.set(given, (wrong.get(given) ?? 0) + n);
  const classes = Array.from({ length: CLASSES }, (_, place) => place);
  const head = el("tr", {},
    el("td", { class: "corner" }, el("span", {}, "given ↓"), el("span", {}, "suggested →")),
    ...classes.map((place) => el("th", { scope: "col" }, el("span", {}, named(LABELS[place])))));
  const rows = classes.map((given) => el("tr", {},
    el("th", { scope: "row" }, named(LABELS[given])),
    ...classes.map((suggested) => {
      if (given === suggested) {
        const right = DATA.perClass[given] - (wrong.get(given) ?? 0);
        return el("td", { class: "right", title: `${label(given)}: ${count(right)} labels not flagged` }, count(right));
      }
      const n = found.get(given * CLASSES + suggested);
      if (!n) return el("td", { class: "none" }, "·");
      const strength = 0.1 + 0.9 * Math.sqrt(n / largest);
      const cell = el("td", { class: strength > 0.6 ? "wrong strong" : "wrong" }, pairButton(given, suggested, n, [count(n)]));
      cell.style.setProperty("--strength", strength.toFixed(3));
      return cell;
    })));
  return el("table", { class: "matrix" },
    el("caption", { class: "unseen" }, "Rows: given label. Columns: suggested label."),
    el("thead", {}, head), el("tbody", {}, ...rows));
}

function pairList(size) {
  const shown = DATA.pairs.slice(0, size);
  const largest = shown[0][2];
  return el("ol", { class: "pairs" }, ...shown.map(([given, suggested, n]) => {
    const item = el("li", {}, pairButton(given, suggested, n,
      [named(LABELS[given]), " → ", named(LABELS[suggested]), el("span", { class: "number" }, count(n))]));
    item.style.setProperty("--share", (n / largest).toFixed(3));
    return item;
  }));
}

// Mark the cell of this pair, or none.
function showChosen(pair) {
  for (const button of byId("confused").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(pair !== null && button.dataset.pair === pair.join("-")));
  }
}

const alone = DATA.pairs.length === 0 || CLASSES > DENSE;
byId("confused").classList.toggle("alone", alone);
if (DATA.pairs.length === 0) byId("matrix").append(el("p", { class: "hint" }, "No label is flagged."));
else byId("matrix").append(alone ? pairList(LISTED) : denseMatrix());
if (alone) byId("largest").remove();
else byId("largest").append(el("h3", {}, "The largest"), pairList(BESIDE));
