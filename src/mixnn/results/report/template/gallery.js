// The cards: which are shown, page by page, and what stands on each. Must not know: keys.

const PAGE = 24;
const GROUPS = {
  flagged: "label issues, the worst first",
  doubtful: "next in doubt",
  unlabeled: "without a label",
  outliers: "outliers, the farthest out first",
  duplicates: "near duplicates, set after set",
  decided: "decided",
};

// `list` are the places shown, `at` is where in it the current card is.
const gallery = { group: "flagged", pair: null, one: null, text: "", open: false, list: [], at: 0 };

const pageOf = (at) => Math.floor(at / PAGE);
const current = () => gallery.list[gallery.at];
const cardOf = (i) => byId("cards").querySelector(`[data-place="${i}"]`);

function placesOf(group) {
  if (group === "decided") return [...review.decided.keys()].map((row) => PLACE.get(row)).sort((a, b) => a - b);
  return [...LISTS[group]];
}

// Make the list anew, as the filters say, and show its first page, or that of `at`.
function refresh(at = 0) {
  const { pair, text } = gallery;
  let list = gallery.one === null ? placesOf(gallery.group) : [gallery.one];
  if (gallery.one === null) {
    if (pair) list = list.filter((i) => SAMPLES.given[i] === pair[0] && SAMPLES.suggested[i] === pair[1]);
    if (text) list = list.filter((i) => `${SAMPLES.name(i)}\n${SAMPLES.text(i)}`.toLowerCase().includes(text));
    if (gallery.open) list = list.filter((i) => !decisionOn(i));
  }
  gallery.list = list;
  gallery.at = Math.max(0, Math.min(at, list.length - 1));
  showPage();
  showFilters();
}

function showFilters() {
  const { pair, one } = gallery;
  const chip = byId("pair");
  chip.hidden = pair === null && one === null;
  if (one !== null) chip.replaceChildren("one sample: ", named(SAMPLES.name(one)), " ✕");
  else if (pair) chip.replaceChildren(named(LABELS[pair[0]]), " → ", named(LABELS[pair[1]]), " ✕");
  showChosen(one === null ? pair : null);
  const size = gallery.list.length;
  const more = DATA.pairs.reduce((sum, [, , n]) => sum + n, 0);
  const cut = gallery.group === "flagged" && more > FLAGGED ? ` (the worst ${count(FLAGGED)} of ${count(more)}; labels.csv has all)` : "";
  byId("shown").textContent = size === 0 ? emptyText() : `${many(size, "sample", "samples")}${cut}`;
}

function emptyText() {
  if (gallery.group === "flagged" && FLAGGED === 0) return "No label is flagged. “Next in doubt” shows those that come nearest.";
  return "No sample fits; choose another filter.";
}

function showPage() {
  const page = pageOf(gallery.at);
  const shown = gallery.list.slice(page * PAGE, (page + 1) * PAGE);
  byId("cards").replaceChildren(...shown.map(card));
  const pages = Math.max(1, Math.ceil(gallery.list.length / PAGE));
  byId("page").textContent = `page ${page + 1} of ${count(pages)}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page + 1 >= pages;
  byId("cards").parentElement.querySelector(".pages").hidden = pages === 1;
  showCurrent();
}

// The current card alone, with its buttons, is in the order of the Tab key.
function showCurrent() {
  for (const box of byId("cards").querySelectorAll("article")) {
    const here = Number(box.dataset.place) === current();
    box.tabIndex = here ? 0 : -1;
    box.classList.toggle("current", here);
    for (const button of box.querySelectorAll(".actions button")) button.tabIndex = here ? 0 : -1;
  }
}

// Make the card at `at` of the list the current one, with the focus on it.
function goTo(at) {
  if (gallery.list.length === 0) return;
  const before = pageOf(gallery.at);
  gallery.at = Math.max(0, Math.min(at, gallery.list.length - 1));
  if (pageOf(gallery.at) !== before) showPage();
  showCurrent();
  const box = cardOf(current());
  box?.focus({ preventScroll: true });
  box?.scrollIntoView({ block: "nearest" });
}

function meter(name, value, kind) {
  const bar = el("span", { class: `meter ${kind}` });
  bar.style.setProperty("--share", value.toFixed(3));
  return el("div", {}, el("dt", {}, name), el("dd", {}, percent(value), bar));
}

// What a text says, on the lines it has; a long one folded.
const FOLDED = 360;
const onOneLine = (text) => visible(text.replace(/\s+/g, " "));
const lines = (text) => text.split("\n").map(visible).join("\n");
function textOf(i) {
  const text = SAMPLES.text(i);
  if (!text) return null;
  if (text.length <= FOLDED) return el("p", { class: "text", dir: "auto" }, lines(text));
  return el("details", { class: "text" }, el("summary", { dir: "auto" }, lines(text.slice(0, FOLDED)), el("span", { class: "more" }, " … more")),
    el("div", { dir: "auto" }, lines(text.slice(FOLDED))));
}

// The nearest samples with their labels: the counts in words, and pictures or texts where there are any.
function evidenceOf(i) {
  const places = [...neighborLabels(i)];
  if (places.length === 0) return null;
  const counts = new Map();
  for (const place of places) counts.set(place, (counts.get(place) ?? 0) + 1);
  const kind = (place) => (place === SAMPLES.suggested[i] ? "as-suggested" : place === SAMPLES.given[i] ? "same" : "else");
  const words = [...counts].sort((a, b) => b[1] - a[1]).map(([place, n]) =>
    el("li", { class: kind(place) }, `${n} × `, named(LABELS[place])));
  const near = ANY_PICTURE || DATA.texts.length ? [...neighborSamples(i)] : [];
  const pictures = near.map((other, k) => el("button", {
    type: "button", class: kind(places[k]), tabindex: "-1", title: `${visible(SAMPLES.name(other))}: ${label(places[k])}`,
    "aria-label": `See ${visible(SAMPLES.name(other))}, labeled ${label(places[k])}`, click: () => showOne(other),
  }, picture(other) ? el("img", { src: picture(other), alt: "" }) : SAMPLES.text(other) ? el("bdi", { class: "said" }, onOneLine(SAMPLES.text(other))) : "?",
    named(LABELS[places[k]], { class: "caption" })));
  return el("div", { class: "near" }, el("p", {}, `Nearest ${DATA.noun}s are labeled`), el("ul", { class: "counts" }, ...words),
    pictures.length ? el("div", { class: ANY_PICTURE ? "strip" : "list" }, ...pictures) : null);
}

function decisionText(i) {
  const decision = decisionOn(i);
  if (!decision) return "";
  if (decision.decision === "drop") return "dropped";
  return `${{ accept: "accepted", keep: "kept", other: "changed" }[decision.decision]}: ${visible(corrected(i, decision))}`;
}

// Why a person should look, in words.
function reviewText(i) {
  const other = DUPLICATES.get(i);
  if (other) return `conflicting duplicate: ${visible(other.name)} labeled ${label(other.given)}`;
  if (SAMPLES.review[i] === 2) return "out of distribution";
  if (SETS.has(i)) return `near duplicate, set ${SETS.get(i)}`;
  return SAMPLES.review[i] === 1 ? `ambiguous: ${label(SAMPLES.suggested[i])} or ${label(SAMPLES.second[i])}` : "";
}

function describe(i) {
  const given = SAMPLES.given[i] >= CLASSES ? "no label" : `given ${label(SAMPLES.given[i])}`;
  const text = SAMPLES.text(i) && `: ${onOneLine(SAMPLES.text(i).slice(0, FOLDED))}`;
  return `${visible(SAMPLES.name(i))}${text}, ${given}, suggested ${label(SAMPLES.suggested[i])}, ${percent(SAMPLES.confidence[i])}${reviewText(i) && `, ${reviewText(i)}`}. ${decisionText(i) || "Undecided"}`;
}

function actions(i) {
  const button = (kind, text, key) => el("button", {
    type: "button", tabindex: "-1", "data-do": kind, "aria-pressed": String(decisionOn(i)?.decision === kind),
  }, text, " ", el("kbd", {}, key));
  return el("div", { class: "actions" }, button("accept", "Accept", "a"), button("keep", "Keep", "k"), button("other", "Other", "o"), button("drop", "Drop", "x"));
}

function card(i) {
  const source = picture(i);
  const same = SAMPLES.given[i] === SAMPLES.suggested[i];
  const labels = el("p", { class: "labels" }, named(LABELS[SAMPLES.given[i]], { class: same ? "stays" : "given" }),
    same ? null : el("span", { class: "arrow", "aria-label": "suggested" }, " → "), same ? null : named(LABELS[SAMPLES.suggested[i]], { class: "suggested" }));
  const decision = decisionText(i);
  const quality = SAMPLES.given[i] >= CLASSES ? null : meter("quality", SAMPLES.quality[i], "quality");
  const box = el("article", { "data-place": i, "data-decision": decisionOn(i)?.decision ?? "", tabindex: "-1", "aria-label": describe(i) },
    source ? el("img", { class: "picture", src: source, alt: "" }) : null,
    textOf(i), el("div", { class: "facts-of" },
      el("p", { class: "name", title: visible(SAMPLES.name(i)) }, named(SAMPLES.name(i))), labels,
      reviewText(i) ? el("p", { class: "review-reason" }, reviewText(i)) : null,
      el("dl", {}, meter("confidence", SAMPLES.confidence[i], "confidence"), quality)),
    evidenceOf(i), actions(i), el("p", { class: "decision" }, decision));
  return el("li", { class: source ? "" : "bare" }, box);
}

// Draw these cards again, where they are on the page, the focus staying where it was.
function redraw(places) {
  const wanted = new Set(places);
  for (const old of [...byId("cards").querySelectorAll("article")]) {
    const i = Number(old.dataset.place);
    if (!wanted.has(i)) continue;
    const focused = old.contains(document.activeElement);
    const fresh = card(i);
    old.parentElement.replaceWith(fresh);
    showCurrent();
    if (focused) fresh.firstChild.focus({ preventScroll: true });
  }
}

// The card of any sample shown anywhere on the page.
function showOne(i) {
  const at = gallery.one === null && gallery.pair === null ? gallery.list.indexOf(i) : -1;
  if (at >= 0) goTo(at);
  else {
    gallery.one = i;
    refresh();
    goTo(0);
  }
  byId("review").scrollIntoView({ block: "start" });
}
