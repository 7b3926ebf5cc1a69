// The samples on a plane: a canvas with hover, keys and a legend. Must not know: decisions.

const LOW = [209, 73, 91];
const HIGH = [27, 127, 121];

function mapOf(data) {
  const index = column(data.index);
  const [x, y] = [shares(data.x), shares(data.y)];
  const canvas = byId("map");
  const view = { zoom: 1, x: 0.5, y: 0.5, by: "given", only: false, alone: null, at: -1, width: 0, height: 0 };

  const side = () => Math.min(view.width, view.height) - 24;
  const left = (k) => view.width / 2 + (x[k] - view.x) * side() * view.zoom * stretch();
  const top = (k) => view.height / 2 + (y[k] - view.y) * side() * view.zoom;
  const stretch = () => Math.min(1.6, (view.width - 24) / Math.max(1, side()));
  const place = (k) => (view.by === "suggested" ? SAMPLES.suggested : SAMPLES.given)[index[k]];
  const flagged = (k) => index[k] < FLAGGED;
  const shown = (k) => (!view.only || flagged(k)) && (view.alone === null || place(k) === view.alone);

  function paint(k) {
    if (view.by !== "quality") return color(place(k));
    if (SAMPLES.given[index[k]] >= CLASSES) return color(CLASSES);
    const share = SAMPLES.quality[index[k]];
    return `rgb(${LOW.map((low, c) => Math.round(low + (HIGH[c] - low) * share)).join()})`;
  }

  function draw() {
    const ratio = devicePixelRatio || 1;
    canvas.width = view.width * ratio;
    canvas.height = view.height * ratio;
    canvas.style.height = `${view.height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const room = Math.sqrt((view.width * view.height) / Math.max(1, index.length));
    const size = Math.max(1.3, Math.min(4.5, room * 0.24)) * Math.sqrt(view.zoom);
    const ring = dark.matches ? "#f4f6f8" : "#1f2933";
    const disc = (k, radius) => {
      pen.beginPath();
      pen.arc(left(k), top(k), radius, 0, 2 * Math.PI);
    };
    for (const above of [false, true]) {
      pen.globalAlpha = above ? 1 : 0.55;
      pen.lineWidth = 0.9;
      pen.strokeStyle = ring;
      for (let k = 0; k < index.length; k++) {
        if (flagged(k) !== above || !shown(k)) continue;
        pen.fillStyle = paint(k);
        disc(k, above ? size * 1.2 : size);
        pen.fill();
        if (above && size > 2.2) pen.stroke();
      }
    }
    if (view.at >= 0) {
      pen.lineWidth = 2.5;
      disc(view.at, size + 5);
      pen.stroke();
    }
  }

  // The point nearest to these pixels, within `reach` of them.
  function nearest(px, py, reach) {
    let best = -1;
    let least = reach ** 2;
    for (let k = 0; k < index.length; k++) {
      const distance = (left(k) - px) ** 2 + (top(k) - py) ** 2;
      if (distance <= least && shown(k)) [best, least] = [k, distance];
    }
    return best;
  }

  // The nearest point in a direction, those straight ahead before those aside.
  function towards(dx, dy) {
    if (view.at < 0) return nearest(view.width / 2, view.height / 2, Infinity);
    let [best, least] = [view.at, Infinity];
    for (let k = 0; k < index.length; k++) {
      const [across, down] = [left(k) - left(view.at), top(k) - top(view.at)];
      const ahead = across * dx + down * dy;
      const cost = ahead + 2 * Math.abs(across * dy + down * dx);
      if (k !== view.at && ahead > 0.5 && cost < least && shown(k)) [best, least] = [k, cost];
    }
    return best;
  }

  function select(k) {
    if (k === view.at) return;
    view.at = k;
    draw();
    const tip = byId("tip");
    tip.hidden = k < 0;
    if (k < 0) return;
    const i = index[k];
    const source = picture(i);
    tip.replaceChildren(...(source ? [el("img", { src: source, alt: "" })] : []), el("div", {}, named(SAMPLES.name(i), { class: "name" }),
      SAMPLES.text(i) ? el("p", { dir: "auto" }, onOneLine(SAMPLES.text(i).slice(0, 160))) : null,
      el("p", {}, named(LABELS[SAMPLES.given[i]]), ...(SAMPLES.given[i] === SAMPLES.suggested[i] ? [] : [" → ", named(LABELS[SAMPLES.suggested[i]])]))));
    tip.style.left = `${Math.min(Math.max(0, left(k) + 12), Math.max(0, view.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${top(k) + 14 + tip.offsetHeight > view.height ? top(k) - tip.offsetHeight - 12 : top(k) + 14}px`;
  }

  const drag = { from: null, moved: false };
  canvas.addEventListener("pointerdown", (event) => {
    drag.from = [event.clientX, event.clientY];
    drag.moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag.from && event.buttons && view.zoom > 1) {
      const [fx, fy] = drag.from;
      const [dx, dy] = [event.clientX - fx, event.clientY - fy];
      if (!drag.moved && Math.hypot(dx, dy) < 4) return;
      drag.moved = true;
      drag.from = [event.clientX, event.clientY];
      view.x -= dx / (side() * view.zoom * stretch());
      view.y -= dy / (side() * view.zoom);
      byId("tip").hidden = true;
      draw();
      return;
    }
    select(nearest(event.offsetX, event.offsetY, 14));
  });
  canvas.addEventListener("pointerleave", () => select(-1));
  canvas.addEventListener("click", (event) => {
    drag.from = null;
    const k = drag.moved ? -1 : nearest(event.offsetX, event.offsetY, 18);
    if (k >= 0) showOne(index[k]);
  });
  const ARROWS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && view.at >= 0) showOne(index[view.at]);
    else if (event.key in ARROWS) {
      select(towards(...ARROWS[event.key]));
      if (view.at >= 0) byId("point").textContent = describe(index[view.at]);
    } else return;
    event.preventDefault();
  });

  function zoomTo(zoom) {
    view.zoom = Math.max(1, Math.min(16, zoom));
    if (view.zoom === 1) [view.x, view.y] = [0.5, 0.5];
    else if (view.at >= 0) [view.x, view.y] = [x[view.at], y[view.at]];
    byId("zoom-out").disabled = view.zoom === 1;
    draw();
  }
  byId("zoom-in").addEventListener("click", () => zoomTo(view.zoom * 1.6));
  byId("zoom-out").addEventListener("click", () => zoomTo(view.zoom / 1.6));
  byId("zoom-out").disabled = true;

  function showLegend() {
    const box = byId("legend");
    if (view.by === "quality") {
      view.alone = null;
      box.replaceChildren(el("li", { class: "scale" }, "0 ", el("span", {}), " 1: label quality, P(the given label is right)"));
      return;
    }
    box.replaceChildren(...LABELS.slice(0, Math.min(LABELS.length, 60)).map((name, label) => {
      const dot = el("span", { class: "dot" });
      dot.style.background = color(label);
      return el("li", {}, el("button", { type: "button", "aria-pressed": String(view.alone === label), click: () => {
        view.alone = view.alone === label ? null : label;
        select(-1);
        showLegend();
        draw();
        box.children[label].firstChild.focus();
      } }, dot, named(name)));
    }));
  }

  byId("color").addEventListener("change", (event) => {
    view.by = event.target.value;
    showLegend();
    draw();
  });
  byId("only").addEventListener("change", (event) => {
    view.only = event.target.checked;
    select(-1);
    draw();
  });
  dark.addEventListener("change", showLegend);
  drawn(canvas.parentElement, (width) => {
    view.width = width;
    view.height = Math.round(Math.max(320, Math.min(620, width * 0.6)));
    draw();
  });
  showLegend();
}

if (DATA.map) mapOf(DATA.map);
else {
  byId("map-section").remove();
  document.querySelector('nav a[href="#map-section"]').remove();
}
