// Learning curves, and losses with their mixture over epochs. Must not know: samples, decisions.

const FRAME = { left: 44, right: 14, top: 14, bottom: 34 };

function axes(width, height, x, y, xLabel, percentages, high = FRAME.top) {
  const parts = [];
  for (const tick of ticks(...y, 4)) {
    const at = scale(y, height - FRAME.bottom, high, tick);
    parts.push(svg("line", { class: "grid", x1: FRAME.left, x2: width - FRAME.right, y1: at, y2: at }));
    const text = percentages ? percent(tick) : Number(tick.toPrecision(6));
    parts.push(svg("text", { x: FRAME.left - 6, y: at + 4, "text-anchor": "end" }, String(text)));
  }
  for (const tick of ticks(...x, width < 500 ? 4 : 8)) {
    const at = scale(x, FRAME.left, width - FRAME.right, tick);
    parts.push(svg("text", { x: at, y: height - 16, "text-anchor": "middle" }, String(Number(tick.toPrecision(6)))));
  }
  parts.push(svg("text", { x: width - FRAME.right, y: height - 2, "text-anchor": "end", class: "axis" }, xLabel));
  return parts;
}

const scale = ([low, high], from, to, value) => from + ((value - low) / (high - low || 1)) * (to - from);

function ticks(low, high, wanted) {
  const raw = (high - low || 1) / wanted;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = base * [1, 2, 5, 10].find((factor) => factor * base >= raw * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found;
}

function line(values, place) {
  let path = "";
  let pen = "M";
  values.forEach((value, i) => {
    if (value === null) pen = "M";
    else {
      path += `${pen}${place(value, i)}`;
      pen = "L";
    }
  });
  return path;
}

const last = (values) => values.findLast((value) => value !== null);

// A chart of columns of DATA.curves in `box`; `names` gives the columns their words.
function curveChart(box, names, percentages) {
  const epochs = DATA.curves.epoch;
  const shown = Object.keys(names).filter((name) => DATA.curves[name]);
  if (!epochs || shown.length === 0) {
    box.append(el("p", { class: "hint" }, "Nothing was measured."));
    return;
  }
  const figure = (value) => (percentages ? percent(value, 1) : value.toPrecision(3));
  const key = el("ul", { class: "key" }, ...shown.map((name, i) =>
    el("li", { class: `series-${percentages ? i : "loss"}` }, `${names[name]}: ${figure(last(DATA.curves[name]))} at the end`)));
  const canvas = el("div");
  const readout = el("p", { class: "hint readout" });
  box.append(canvas, key, readout);
  const finite = shown.flatMap((name) => DATA.curves[name]).filter((value) => value !== null);
  const y = percentages ? [0, 1] : [Math.min(0, ...finite), Math.max(...finite)];
  const x = [Math.min(1, epochs[0]), Math.max(2, epochs.at(-1))];
  const band = 15 * DATA.marks.length; // above the lines, for what begins when
  const height = 250 + band;
  const high = FRAME.top + band;
  drawn(canvas, (width) => {
    const at = (epoch) => scale(x, FRAME.left, width - FRAME.right, epoch);
    const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": key.textContent }, ...axes(width, height, x, y, "epoch", percentages, high));
    DATA.marks.forEach(({ after, text }, i) => {
      const left = at(after) > width * 0.55;
      drawing.append(
        svg("line", { class: "mark", x1: at(after), x2: at(after), y1: FRAME.top + 15 * i - 10, y2: height - FRAME.bottom }),
        svg("text", { class: "mark", x: at(after) + (left ? -5 : 5), y: FRAME.top + 15 * i, "text-anchor": left ? "end" : "start" }, text),
      );
    });
    shown.forEach((name, i) => {
      const place = (value, k) => `${at(epochs[k]).toFixed(1)},${scale(y, height - FRAME.bottom, high, value).toFixed(1)}`;
      drawing.append(svg("path", { class: `curve series-${percentages ? i : "loss"}`, d: line(DATA.curves[name], place) }));
      if (epochs.length === 1) drawing.append(svg("circle", { r: 4, class: `dot series-${i}`, cx: at(epochs[0]), cy: scale(y, height - FRAME.bottom, high, DATA.curves[name][0] ?? 0) }));
    });
    drawing.addEventListener("pointermove", (event) => {
      const epoch = scale([FRAME.left, width - FRAME.right], ...x, event.offsetX);
      const k = epochs.reduce((best, value, i) => (Math.abs(value - epoch) < Math.abs(epochs[best] - epoch) ? i : best), 0);
      const values = shown.map((name) => [names[name], DATA.curves[name][k]]).filter(([, value]) => value !== null);
      readout.textContent = `epoch ${epochs[k]}: ${values.map(([name, value]) => `${name} ${figure(value)}`).join(", ")}`;
    });
    canvas.replaceChildren(drawing);
  });
}

// The losses of one moment: a histogram, and the two components of the mixture.
function lossChart(width, { counts, mixture }) {
  const height = 260;
  const total = Math.max(1, counts.reduce((sum, n) => sum + n, 0));
  const density = counts.map((n) => (n * counts.length) / total);
  const [means, variances, weights] = mixture;
  const component = (k, loss) =>
    (weights[k] * Math.exp(-((loss - means[k]) ** 2) / (2 * variances[k]))) / Math.sqrt(2 * Math.PI * variances[k]);
  const x = [0, 1];
  const bottom = height - FRAME.bottom;
  // A square-root scale: the upper component is often a tenth of the lower one. One narrower than a bar may stand out.
  const root = [0, Math.sqrt(1.06 * Math.max(...density))];
  const up = (value) => scale(root, bottom, FRAME.top, Math.sqrt(value));
  const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Histogram of the losses with the two components of a Gaussian mixture" }, ...axes(width, height, x, [0, 0], "loss, in 0–1", false));
  const clip = svg("clipPath", { id: "inside" }, svg("rect", { x: FRAME.left, y: FRAME.top, width: width - FRAME.left - FRAME.right, height: bottom - FRAME.top }));
  drawing.append(svg("defs", {}, clip));
  density.forEach((value, i) => {
    const from = scale(x, FRAME.left, width - FRAME.right, i / counts.length);
    const to = scale(x, FRAME.left, width - FRAME.right, (i + 1) / counts.length);
    const top = up(value);
    drawing.append(svg("rect", { class: "bin", x: from + 0.5, width: Math.max(0.5, to - from - 1), y: top, height: bottom - top }));
  });
  if (means[0] === null) return drawing;
  for (const k of [0, 1]) {
    const points = Array.from({ length: 301 }, (_, i) => component(k, i / 300));
    const place = (value, i) => `${scale(x, FRAME.left, width - FRAME.right, i / 300).toFixed(1)},${up(value).toFixed(1)}`;
    drawing.append(svg("path", { class: `curve ${k ? "wrong" : "clean"}`, d: line(points, place), "clip-path": "url(#inside)" }));
  }
  return drawing;
}

function lossHistory() {
  const moments = DATA.losses;
  const slider = byId("epoch");
  const box = byId("histogram");
  slider.max = moments.length - 1;
  slider.value = moments.length - 1;
  byId("slider").hidden = moments.length < 2;
  const again = drawn(box, (width) => {
    const moment = moments[slider.value];
    box.replaceChildren(lossChart(width, moment));
    const when = moment.epoch === null ? "after training" : `epoch ${moment.epoch}`;
    byId("moment").textContent = when;
    slider.setAttribute("aria-valuetext", when);
    const against = moment.epoch === null ? "Losses against the labels as given" : "Losses against the labels as corrected so far";
    const weights = moment.mixture[2];
    const shares = weights[0] === null ? "no mixture of two components was found" : `${percent(weights[0])} in the lower component (clean), ${percent(weights[1])} in the upper one (noisy)`;
    byId("mixture").textContent = `${against}, ${when}: ${shares}.`;
  });
  slider.addEventListener("input", again);
}

const CURVES = { accuracy: "held-out accuracy", clean_fraction: "labels taken as clean", right_targets: "right labels after correction" };
curveChart(byId("curves"), CURVES, true);
curveChart(byId("loss-curve"), { train_loss: "training loss" }, false);
lossHistory();
