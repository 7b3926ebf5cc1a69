// What was decided, kept in this browser, and as CSV. Must not know: cards, keys.

const STORE = `mixnn-review-${DATA.key}`;

// The steps taken, each [decision, label or null, rows]: decisions follow from them, and undo takes the last one away.
const review = { steps: [], decided: new Map(), listeners: [], stored: true };

function storedSteps() {
  try {
    const steps = JSON.parse(localStorage.getItem(STORE) ?? "[]");
    const good = ([decision, label, rows]) =>
      ["accept", "keep", "other", "drop"].includes(decision) &&
      (decision === "other" ? Number.isInteger(label) && label >= 0 && label < CLASSES : label === null) &&
      Array.isArray(rows) && rows.every((row) => PLACE.has(row));
    return Array.isArray(steps) ? steps.filter((step) => Array.isArray(step) && good(step)) : [];
  } catch {
    return [];
  }
}

function store() {
  try {
    localStorage.setItem(STORE, JSON.stringify(review.steps));
  } catch {
    review.stored = false;
  }
}

function apply([decision, label, rows]) {
  for (const row of rows) review.decided.set(row, { decision, label });
}

function changed(places) {
  for (const listener of review.listeners) listener(places);
}

// Decide on the samples in `places`; another label that is the given or the suggested one is a keep or an accept.
function decide(decision, places, label = null) {
  if (places.length === 0) return;
  if (decision === "other") {
    const [i] = places;
    if (label === SAMPLES.given[i]) [decision, label] = ["keep", null];
    else if (label === SAMPLES.suggested[i]) [decision, label] = ["accept", null];
  }
  const step = [decision, label, places.map((i) => SAMPLES.row[i])];
  review.steps.push(step);
  apply(step);
  store();
  changed(places);
}

// Take the last step back; the places it was about.
function undo() {
  const step = review.steps.pop();
  if (!step) return [];
  review.decided.clear();
  review.steps.forEach(apply);
  store();
  const places = step[2].map((row) => PLACE.get(row));
  changed(places);
  return places;
}

const decisionOn = (i) => review.decided.get(SAMPLES.row[i]);

// The label that place `i` has after the decision: a name, empty for a sample that is dropped.
function corrected(i, { decision, label }) {
  if (decision === "drop") return "";
  const place = { accept: SAMPLES.suggested[i], keep: SAMPLES.given[i], other: label }[decision];
  return LABELS[place];
}

const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// UTF-8; a byte of a file name that was no text, which Python holds as U+DC80 to U+DCFF, becomes that byte again.
function bytesOf(text) {
  const encoder = new TextEncoder();
  const parts = text.split(/([\udc80-\udcff])/u);
  return parts.map((part, i) => (i % 2 ? Uint8Array.of(part.charCodeAt(0) & 0xff) : encoder.encode(part)));
}

function corrections() {
  const rows = [...review.decided.keys()].sort((a, b) => a - b);
  const lines = rows.map((row) => {
    const i = PLACE.get(row);
    const decision = review.decided.get(row);
    return [SAMPLES.name(i), corrected(i, decision), decision.decision].map(quoted).join(",");
  });
  return ["file_name,corrected_label,decision", ...lines, ""].join("\n");
}

function download() {
  const file = new Blob(bytesOf(corrections()), { type: "text/csv" });
  const address = URL.createObjectURL(file);
  const link = el("a", { href: address, download: "corrections.csv" });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

// The counter and the buttons beside it.
function showProgress() {
  const kinds = { accept: 0, keep: 0, other: 0, drop: 0 };
  let flagged = 0;
  for (const [row, { decision }] of review.decided) {
    kinds[decision] += 1;
    if (PLACE.get(row) < FLAGGED) flagged += 1;
  }
  const total = review.decided.size;
  const parts = Object.entries(kinds).filter(([, n]) => n).map(([kind, n]) => `${count(n)} ${kind}`);
  const beyond = total - flagged ? `, and ${many(total - flagged, "other sample", "other samples")}` : "";
  byId("counter").value = total
    ? `${count(flagged)} of ${many(FLAGGED, "label issue", "label issues")} decided${beyond}: ${parts.join(", ")}`
    : "nothing decided yet";
  byId("done").max = Math.max(1, FLAGGED);
  byId("done").value = flagged;
  byId("undo").disabled = review.steps.length === 0;
  byId("download").disabled = total === 0;
  byId("storage").hidden = review.stored;
}

review.listeners.push(showProgress);
review.steps = storedSteps();
review.steps.forEach(apply);
byId("download").addEventListener("click", download);
