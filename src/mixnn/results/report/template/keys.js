// From keys and buttons to decisions. Must not know: how cards look.

const say = (text) => (byId("said").textContent = text);

// The nine classes that digits stand for: all, or those suggested most.
const DIGITS = (() => {
  const wanted = new Map();
  for (const [, suggested, n] of DATA.pairs) wanted.set(suggested, (wanted.get(suggested) ?? 0) + n);
  const allClasses = Array.from({ length: CLASSES }, (_, place) => place);
  if (CLASSES <= 9) return allClasses;
  return allClasses.sort((a, b) => (wanted.get(b) ?? 0) - (wanted.get(a) ?? 0) || a - b).slice(0, 9).sort((a, b) => a - b);
})();

// Decide on the current card, and go on to the next.
function decideHere(decision, place = null) {
  const i = current();
  if (i === undefined) return;
  decide(decision, [i], place);
  say(decisionText(i));
  if (gallery.at + 1 < gallery.list.length) goTo(gallery.at + 1);
  else cardOf(i)?.focus();
}

function undoHere() {
  const places = undo();
  if (places.length === 0) return say("nothing to undo");
  say(`undone: ${many(places.length, "decision", "decisions")}`);
  const at = gallery.list.indexOf(places[0]);
  if (at >= 0) goTo(at);
}

// The class that `text` names or begins, if it is one only.
function classOf(text) {
  const wanted = text.trim().toLowerCase();
  const names = LABELS.slice(0, CLASSES).map((name) => name.toLowerCase());
  const exact = names.indexOf(wanted);
  if (exact >= 0 || wanted === "") return exact;
  const fitting = names.flatMap((name, place) => (name.startsWith(wanted) ? [place] : []));
  return fitting.length === 1 ? fitting[0] : -1;
}

// A field on the current card for the name of another class.
function askOther(start = "") {
  const box = cardOf(current());
  if (!box || box.querySelector(".other")) return;
  const field = el("input", { type: "text", list: "class-names", autocomplete: "off", "aria-label": "Another class: type its name, then Enter" });
  const hint = el("span", { class: "hint", role: "status" }, "type a class, Enter");
  const close = () => {
    form.remove();
    box.focus({ preventScroll: true });
  };
  const form = el("form", { class: "other", submit: (event) => {
    event.preventDefault();
    const place = classOf(field.value);
    if (place < 0) hint.textContent = "no class, or several, begin so";
    else {
      close();
      decideHere("other", place);
    }
  } }, field, el("button", { type: "submit" }, "Choose"), hint);
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") close();
  });
  box.querySelector(".actions").after(form);
  field.focus();
  field.value = start;
}

// Cards beside each other on the screen: how far the card above or below is.
function across() {
  const items = [...byId("cards").children];
  return Math.max(1, items.filter((item) => item.offsetTop === items[0]?.offsetTop).length);
}

const MOVES = { ArrowRight: () => 1, ArrowLeft: () => -1, ArrowDown: across, ArrowUp: () => -across(), j: () => 1 };
const DECISIONS = { a: "accept", k: "keep", x: "drop" };

function onCardKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input")) return;
  const { key } = event;
  const onButton = event.target.closest("button") && (key === "Enter" || key === " ");
  if (onButton) return;
  if (key in MOVES) goTo(gallery.at + MOVES[key]());
  else if (key in DECISIONS) decideHere(DECISIONS[key]);
  else if (key === "u") undoHere();
  else if (/^[1-9]$/.test(key) && Number(key) <= DIGITS.length) decideHere("other", DIGITS[Number(key) - 1]);
  else if (key === "o" || key === "Enter") askOther();
  else if (/^\p{L}$/u.test(key)) askOther(key);
  else return;
  event.preventDefault();
}

// Keys work on the page before a card has the focus, too; where something else has it, they are not ours.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.activeElement !== document.body) return;
  if (event.key === "u") undoHere();
  else if (event.key === "j") goTo(gallery.at);
});

byId("cards").addEventListener("keydown", onCardKey);
byId("cards").addEventListener("focusin", (event) => {
  const box = event.target.closest("article");
  const at = box ? gallery.list.indexOf(Number(box.dataset.place)) : -1;
  if (at < 0 || at === gallery.at) return;
  gallery.at = at;
  showCurrent();
});
byId("cards").addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (!button) return;
  gallery.at = gallery.list.indexOf(Number(button.closest("article").dataset.place));
  showCurrent();
  if (button.dataset.do === "other") askOther();
  else decideHere(button.dataset.do);
});
byId("undo").addEventListener("click", undoHere);
byId("previous").addEventListener("click", () => goTo((pageOf(gallery.at) - 1) * PAGE));
byId("next").addEventListener("click", () => goTo((pageOf(gallery.at) + 1) * PAGE));

// Batches: what is undecided among the cards as filtered, above a confidence.
function batch() {
  const least = Number(byId("least").value) / 100;
  return gallery.list.filter((i) => SAMPLES.confidence[i] >= least && !decisionOn(i));
}
const showBatch = () => {
  const size = batch().length;
  byId("batch").textContent = `Accept ${count(size)}`;
  byId("batch").disabled = size === 0;
};
byId("batch").addEventListener("click", () => {
  const places = batch();
  decide("accept", places);
  say(`accepted: ${many(places.length, "suggestion", "suggestions")}`);
});
byId("least").addEventListener("input", showBatch);
review.listeners.push(redraw, showBatch);

// Filters.
function filter(change) {
  Object.assign(gallery, { one: null }, change);
  refresh();
  showBatch();
}
for (const [group, text] of Object.entries(GROUPS)) {
  const size = LISTS[group]?.length; // none of a search over all
  if (size !== 0) byId("group").append(el("option", { value: group }, size === undefined ? text : `${text} (${count(size)})`));
}
if (FLAGGED === 0) gallery.group = byId("group").value;
byId("group").addEventListener("change", (event) => filter({ group: event.target.value }));
byId("search").addEventListener("input", (event) => filter({ text: event.target.value.toLowerCase() }));
byId("open").addEventListener("change", (event) => filter({ open: event.target.checked }));
byId("pair").addEventListener("click", () => filter({ pair: null }));
matrix.choose = (given, suggested) => {
  const same = gallery.one === null && gallery.pair?.join() === [given, suggested].join();
  byId("group").value = "flagged";
  filter({ group: "flagged", pair: same ? null : [given, suggested] });
  if (!same) byId("review").scrollIntoView({ block: "start" });
};
document.querySelector(".keys").open = matchMedia("(hover: hover)").matches;
const MIN_CONFIDENCES = [95, 90, 85, 80, 75, 70, 65, 60, 55, 50];
const surest = SAMPLES.confidence.subarray(0, FLAGGED).reduce((largest, value) => Math.max(largest, value), 0);
byId("least").value = MIN_CONFIDENCES.find((least) => surest >= least / 100) ?? 50;
byId("class-names").append(...LABELS.slice(0, CLASSES).map((name) => el("option", { value: visible(name) })));
byId("digits").append(...DIGITS.flatMap((place, k) => [el("kbd", {}, String(k + 1)), " ", named(LABELS[place]), "\u2002"]));

refresh(Math.max(0, placesOf(gallery.group).findIndex((i) => !decisionOn(i))));
showProgress();
showBatch();
