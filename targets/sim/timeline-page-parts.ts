/** The style of a run's page. */
export const pageStyle: string = `
:root { color-scheme: light; font: 13px/1.4 system-ui, sans-serif; color: #1e293b; background: #fff; }
* { box-sizing: border-box; }
body { margin: 0; height: 100vh; display: flex; flex-direction: column; }
header { padding: 8px 14px; border-bottom: 1px solid #e2e8f0; display: flex; flex-wrap: wrap; gap: 4px 18px; align-items: baseline; }
h1 { font-size: 15px; margin: 0; }
p { margin: 0; color: #475569; max-width: 100ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
p.failed { color: #b91c1c; font-weight: 600; }
.tools { flex-basis: 100%; display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: center; }
.tools input[type=search] { width: 20ch; padding: 3px 8px; border: 1px solid #cbd5e1; border-radius: 5px; font: inherit; }
.tools label { display: inline-flex; gap: 4px; align-items: center; cursor: pointer; }
.tools i { width: 14px; height: 3px; border-radius: 2px; display: inline-block; }
#kinds { display: inline-flex; gap: 10px; flex-wrap: wrap; }
button { font: inherit; padding: 2px 9px; border: 1px solid #cbd5e1; border-radius: 5px; background: #f8fafc; cursor: pointer; }
button:hover { background: #e2e8f0; }
main { flex: 1; display: flex; min-height: 0; }
#view { flex: 1; position: relative; min-width: 0; display: flex; flex-direction: column; }
#names { height: 26px; width: 100%; flex: none; border-bottom: 1px solid #e2e8f0; }
#ladder { flex: 1; width: 100%; min-height: 0; cursor: grab; touch-action: none; }
#ladder:active { cursor: grabbing; }
#tip { position: absolute; pointer-events: none; max-width: 460px; padding: 5px 9px; border-radius: 6px; background: #0f172a; color: #f8fafc; font-size: 12px; white-space: pre-wrap; z-index: 2; }
aside { width: 300px; flex: none; border-left: 1px solid #e2e8f0; overflow: auto; }
#events { margin: 0; padding: 6px 0; list-style: none; font-size: 12px; }
#events li { padding: 3px 12px 3px 10px; cursor: pointer; border-left: 4px solid transparent; overflow-wrap: anywhere; }
#events li:hover { background: #f1f5f9; }
#events b { font-weight: 500; color: #64748b; font-variant-numeric: tabular-nums; margin-right: 6px; }
@media (max-width: 800px) { aside { display: none; } }
`;

/** What moves a run's page. Plain JavaScript for any browser of these years. */
export const pageScript: string = String.raw`
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { lanes, frames, notes, bands } = data;
  const kinds = [
    ["data", "#2563eb"], ["acks", "#94a3b8"], ["SYN, FIN", "#16a34a"],
    ["resets", "#dc2626"], ["not TCP", "#9333ea"], ["ARP", "#b6a37c"],
  ];
  const repeated = "#ea8a00", gone = "#dc2626";
  const hues = ["#fde68a", "#fecaca", "#bfdbfe", "#ddd6fe", "#bbf7d0", "#fbcfe8"];
  const $ = (id) => document.getElementById(id);
  const canvas = $("ladder"), names = $("names"), tip = $("tip");
  const gutter = 92;
  const isGone = (frame) => frame.a < 0 && frame.w !== "";
  let first = Infinity, last = 0;
  for (const frame of frames) {
    first = Math.min(first, frame.t);
    last = Math.max(last, frame.t, frame.a);
  }
  for (const each of notes) { first = Math.min(first, each.t); last = Math.max(last, each.t); }
  for (const each of bands) { first = Math.min(first, each.t); last = Math.max(last, each.t, each.e); }
  if (first === Infinity) first = 0;
  if (last <= first) last = first + 1;
  const shown = kinds.map((_, index) => index !== 5);
  // Long pauses take little room when they are squeezed: places are instants by then that were bent.
  const instants = [...new Set([first, last, ...frames.flatMap((each) => [each.t, each.a]), ...bands.flatMap((each) => [each.t, each.e])])]
    .filter((time) => time >= first).sort((a, b) => a - b);
  const gaps = instants.slice(1).map((time, index) => time - instants[index]);
  const usual = [...gaps].sort((a, b) => a - b)[gaps.length >> 1] || 1;
  const bent = [0];
  for (const gap of gaps) bent.push(bent[bent.length - 1] + (gap <= usual ? gap : usual * (1 + Math.log(gap / usual))));
  function between(x, xs, ys) {
    let low = 0, high = xs.length - 1;
    if (x <= xs[0]) return ys[0] + (x - xs[0]);
    if (x >= xs[high]) return ys[high] + (x - xs[high]);
    while (high - low > 1) { const middle = (low + high) >> 1; if (xs[middle] <= x) low = middle; else high = middle; }
    return ys[low] + ((x - xs[low]) / (xs[high] - xs[low])) * (ys[high] - ys[low]);
  }
  const squeezed = () => $("squeeze").checked;
  const place = (time) => squeezed() ? between(time, instants, bent) : time;
  const instant = (spot) => squeezed() ? between(spot, bent, instants) : spot;
  const start = () => place(first), end = () => place(last);
  let from = first, to = last, hit = [];

  const unit = (ms, span) => span < 2 ? (ms * 1000).toFixed(1) + " µs" : span < 20000 ? ms.toFixed(span < 200 ? 3 : 1) + " ms" : (ms / 1000).toFixed(3) + " s";
  const laneX = (lane) => gutter + (lane + 0.5) * ((canvas.clientWidth - gutter - 8) / Math.max(1, lanes.length));
  const timeY = (time) => ((place(time) - from) / (to - from)) * canvas.clientHeight;
  const ySpot = (y) => from + (y / canvas.clientHeight) * (to - from);

  function wanted(text) {
    const query = $("search").value.trim().toLowerCase();
    return query === "" || text.toLowerCase().includes(query);
  }
  function isShown(frame) {
    if (!shown[frame.k]) return false;
    if ($("odd").checked && !isGone(frame) && frame.r === 0 && frame.w === "") return false;
    return wanted(frame.x + " " + frame.w + " #" + frame.n);
  }
  function size(element) {
    const ratio = devicePixelRatio || 1;
    element.width = Math.round(element.clientWidth * ratio);
    element.height = Math.round(element.clientHeight * ratio);
    const pen = element.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "11px system-ui, sans-serif";
    return pen;
  }
  function step(span) {
    const rough = span / 8, power = 10 ** Math.floor(Math.log10(rough));
    for (const factor of [1, 2, 5, 10]) if (power * factor >= rough) return power * factor;
    return power * 10;
  }
  function lanesOf(text) {
    const words = text.split(/[^A-Za-z0-9.-]+/);
    const found = lanes.map((_, lane) => lane).filter((lane) => words.includes(lanes[lane].split(".")[0]) || words.includes(lanes[lane]));
    return found.length > 0 ? found : lanes.map((_, lane) => lane);
  }
  bands.forEach((band, index) => { band.lanes = lanesOf(band.x); band.hue = hues[index % hues.length]; });

  function draw() {
    const top = size(names), pen = size(canvas);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    const earliest = instant(from), latest = instant(to), span = latest - earliest;
    const room = (width - gutter - 8) / Math.max(1, lanes.length);
    top.fillStyle = "#0f172a";
    top.textAlign = "center";
    top.font = "600 12px system-ui, sans-serif";
    lanes.forEach((name, lane) => top.fillText(name, laneX(lane), 17, room - 4));
    pen.clearRect(0, 0, width, height);
    for (const band of bands) {
      const y = timeY(band.t), end = timeY(band.e < 0 ? last : band.e);
      if (end < 0 || y > height) continue;
      pen.fillStyle = band.hue + "99";
      const tall = Math.max(2, end - y);
      for (const lane of band.lanes) pen.fillRect(laneX(lane) - room / 2 + 1, y, room - 2, tall);
      pen.fillStyle = "#78350f";
      pen.textAlign = "left";
      if (tall > 12) pen.fillText(band.x, laneX(band.lanes[0]) - room / 2 + 6, Math.max(y, 0) + 12, room * band.lanes.length - 12);
    }
    pen.strokeStyle = "#e2e8f0";
    pen.fillStyle = "#64748b";
    pen.lineWidth = 1;
    pen.textAlign = "right";
    const tick = step(span), ticks = [];
    if (squeezed()) for (let y = 40; y < height; y += 80) ticks.push(instant(ySpot(y)));
    else for (let time = Math.ceil(from / tick) * tick; time < to; time += tick) ticks.push(time);
    for (const time of ticks) {
      const y = Math.round(timeY(time)) + 0.5;
      pen.beginPath(); pen.moveTo(gutter, y); pen.lineTo(width, y); pen.stroke();
      pen.fillText(unit(time, span), gutter - 8, y + 4);
    }
    pen.strokeStyle = "#94a3b8";
    lanes.forEach((_, lane) => {
      const x = Math.round(laneX(lane)) + 0.5;
      pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height); pen.stroke();
    });
    hit = [];
    let visible = 0;
    for (const frame of frames) {
      const until = frame.a < 0 ? frame.t : frame.a;
      if (until < earliest || frame.t > latest || !isShown(frame)) continue;
      visible++;
      arrow(pen, frame, room, span);
    }
    const taken = new Map();
    if (visible < 400) for (const one of hit) label(pen, one, taken);
    for (const note of notes) {
      if (note.t < earliest || note.t > latest || !wanted(note.x)) continue;
      const x = note.f < 0 ? gutter + 6 : laneX(note.f), y = timeY(note.t);
      pen.fillStyle = "#0f172a";
      pen.beginPath(); pen.arc(x, y, 3, 0, 7); pen.fill();
      hit.push({ x1: x, y1: y, x2: x, y2: y, text: unit(note.t, span) + "  " + note.x });
      pen.textAlign = "left";
      if (notes.length < 60 || span < 200) pen.fillText(note.x, x + 7, y + 4, room - 12);
    }
    if (data.left > 0) {
      pen.textAlign = "left";
      pen.fillStyle = "#b91c1c";
      pen.fillText(data.left + " frames or notes in the middle were left out", gutter + 6, height - 8);
    }
  }
  function arrow(pen, frame, room, span) {
    const x1 = laneX(frame.f), y1 = timeY(frame.t);
    const aim = frame.to >= 0 && frame.to !== frame.f ? laneX(frame.to) : x1 + (frame.f === lanes.length - 1 ? -1 : 1) * room * 0.4;
    const lost = isGone(frame);
    const x2 = lost ? x1 + (aim - x1) * 0.55 : aim;
    const y2 = frame.a >= 0 ? timeY(frame.a) : y1 + 6;
    const colour = lost ? gone : frame.r ? repeated : kinds[frame.k][1];
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = frame.k === 1 || frame.k === 5 ? 1 : 1.6;
    pen.setLineDash(lost ? [4, 3] : []);
    pen.beginPath(); pen.moveTo(x1, y1); pen.lineTo(x2, y2); pen.stroke();
    pen.setLineDash([]);
    if (lost) {
      pen.beginPath();
      pen.moveTo(x2 - 4, y2 - 4); pen.lineTo(x2 + 4, y2 + 4);
      pen.moveTo(x2 + 4, y2 - 4); pen.lineTo(x2 - 4, y2 + 4);
      pen.stroke();
    } else {
      const angle = Math.atan2(y2 - y1, x2 - x1);
      pen.beginPath();
      pen.moveTo(x2, y2);
      pen.lineTo(x2 - 7 * Math.cos(angle - 0.4), y2 - 7 * Math.sin(angle - 0.4));
      pen.lineTo(x2 - 7 * Math.cos(angle + 0.4), y2 - 7 * Math.sin(angle + 0.4));
      pen.fill();
    }
    const fate = lost ? "\nnot arrived: " + frame.w : frame.a >= 0 ? "\narrived after " + unit(frame.a - frame.t, frame.a - frame.t) + (frame.w ? ", " + frame.w : "") : "";
    hit.push({ x1, y1, x2, y2, colour, short: frame.x, text: "#" + frame.n + " at " + unit(frame.t, span) + ", " + lanes[frame.f] + (frame.r ? " (sent before)" : "") + "\n" + frame.x + fate });
  }
  function label(pen, one, taken) {
    if (one.short === undefined) return;
    // One above the other only where there is room.
    const column = Math.round((one.x1 + one.x2) / 20), middle = (one.y1 + one.y2) / 2;
    const others = taken.get(column) || [];
    if (others.some((y) => Math.abs(y - middle) < 17)) return;
    taken.set(column, [...others, middle]);
    const flip = one.x2 < one.x1;
    const length = Math.hypot(one.x2 - one.x1, one.y2 - one.y1);
    if (length < 80) return;
    pen.save();
    pen.translate((one.x1 + one.x2) / 2, (one.y1 + one.y2) / 2);
    pen.rotate(Math.atan2(one.y2 - one.y1, one.x2 - one.x1) + (flip ? Math.PI : 0));
    pen.textAlign = "center";
    pen.fillStyle = one.colour;
    let text = one.short;
    while (text.length > 4 && pen.measureText(text).width > length - 24) text = text.slice(0, Math.floor(text.length * 0.85)) ;
    pen.fillText(text === one.short ? text : text + "…", 0, -4);
    pen.restore();
  }

  let due = false;
  function redraw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; draw(); });
  }
  function zoom(factor, y) {
    const middle = ySpot(y === undefined ? canvas.clientHeight / 2 : y), edge = (end() - start()) * 0.02;
    from = Math.max(start() - edge, middle - (middle - from) * factor);
    to = Math.min(end() + edge, middle + (to - middle) * factor);
    if (to - from < 0.001) to = from + 0.001;
    redraw();
  }
  function move(ms) {
    const span = to - from;
    from = Math.min(Math.max(from + ms, start() - span * 0.5), end() - span * 0.5);
    to = from + span;
    redraw();
  }
  function show(time, until) {
    const wide = until === undefined || until < 0 ? 200 : (place(until) - place(time)) * 3;
    const span = Math.max(squeezed() ? usual : 1, Math.min(to - from, wide));
    from = place(time) - span * 0.25;
    to = from + span;
    redraw();
  }
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(((event.deltaX || event.deltaY) / canvas.clientHeight) * (to - from));
    else zoom(Math.exp(event.deltaY * 0.0016), event.offsetY);
  }, { passive: false });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => { drag = event.offsetY; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("pointermove", (event) => {
    if (drag !== null) {
      move(((drag - event.offsetY) / canvas.clientHeight) * (to - from));
      drag = event.offsetY;
      return;
    }
    let best = null, nearest = 7;
    for (const one of hit) {
      const dx = one.x2 - one.x1, dy = one.y2 - one.y1, square = dx * dx + dy * dy;
      const part = square === 0 ? 0 : Math.min(1, Math.max(0, ((event.offsetX - one.x1) * dx + (event.offsetY - one.y1) * dy) / square));
      const away = Math.hypot(event.offsetX - one.x1 - part * dx, event.offsetY - one.y1 - part * dy);
      if (away < nearest) { nearest = away; best = one; }
    }
    tip.hidden = best === null;
    if (best === null) return;
    tip.textContent = best.text;
    tip.style.left = Math.min(event.offsetX + 14, canvas.clientWidth - 300) + "px";
    tip.style.top = Math.min(event.offsetY + 44, canvas.clientHeight - 20) + "px";
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT") return;
    const span = to - from;
    if (event.key === "ArrowDown") move(span * 0.1);
    else if (event.key === "ArrowUp") move(-span * 0.1);
    else if (event.key === "PageDown") move(span * 0.9);
    else if (event.key === "PageUp") move(-span * 0.9);
    else if (event.key === "+") zoom(0.7);
    else if (event.key === "-") zoom(1 / 0.7);
  });

  kinds.forEach(([name, colour], index) => {
    const label = document.createElement("label");
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = shown[index];
    box.addEventListener("change", () => { shown[index] = box.checked; redraw(); });
    const line = document.createElement("i");
    line.style.background = colour;
    label.append(box, line, name);
    $("kinds").append(label);
  });
  for (const [colour, name] of [[repeated, "sent again"], [gone, "lost"]]) {
    const label = document.createElement("label");
    const line = document.createElement("i");
    line.style.background = colour;
    label.append(line, name);
    $("kinds").append(label);
  }

  const events = bands.map((band) => ({ t: band.t, e: band.e, x: band.x, hue: band.hue }));
  for (const note of notes) events.push({ t: note.t, e: -1, x: (note.f < 0 ? "" : lanes[note.f] + ": ") + note.x, hue: "transparent" });
  for (const frame of frames) if (isGone(frame) && events.length < 4000) events.push({ t: frame.t, e: -1, x: lanes[frame.f] + ": #" + frame.n + " " + frame.w, hue: gone });
  events.sort((a, b) => a.t - b.t);
  function list() {
    const items = [];
    for (const one of events) {
      if (!wanted(one.x) || items.length >= 1000) continue;
      const item = document.createElement("li");
      const time = document.createElement("b");
      time.textContent = unit(one.t, last - first) + (one.e < 0 ? "" : " – " + unit(one.e, last - first));
      item.append(time, one.x);
      item.style.borderLeftColor = one.hue;
      item.addEventListener("click", () => show(one.t, one.e));
      items.push(item);
    }
    $("events").replaceChildren(...items);
  }
  $("search").addEventListener("input", () => { list(); redraw(); });
  $("odd").addEventListener("change", redraw);
  $("all").addEventListener("click", () => { from = start(); to = end(); redraw(); });
  $("squeeze").addEventListener("change", () => {
    // The other way around: what was seen stays in sight.
    const bend = (spot) => squeezed() ? between(spot, instants, bent) : between(spot, bent, instants);
    from = bend(from); to = Math.max(bend(to), from + 0.001);
    redraw();
  });
  $("in").addEventListener("click", () => zoom(0.5));
  $("out").addEventListener("click", () => zoom(2));
  $("next").addEventListener("click", () => { const at = ySpot(canvas.clientHeight * 0.2501), one = events.find((each) => place(each.t) > at); if (one) show(one.t, one.e); });
  $("previous").addEventListener("click", () => { const at = ySpot(canvas.clientHeight * 0.2499), one = events.findLast((each) => place(each.t) < at); if (one) show(one.t, one.e); });
  addEventListener("resize", redraw);
  // A page address with #from-to, in milliseconds, opens there (with ! behind it, squeezed); else where there is something to see.
  const wish = /^#([0-9.]+)-([0-9.]+)(!?)$/.exec(location.hash);
  if (wish) {
    $("squeeze").checked = wish[3] === "!";
    from = place(Number(wish[1]));
    to = Math.max(from + 0.001, place(Number(wish[2])));
  }
  else if (frames.length > 400) { to = Math.max(frames[300].t, first + 0.001); }
  list();
  draw();
})();
`;
