// Charts as SVG, from the page's data.
const COLOURS = ["#2563a8", "#d97706", "#2d7d46", "#b3382c", "#7c4dba", "#0e8a8a", "#a8577e", "#6b7280", "#94760a", "#46599e"];

function svg(width, height, draw) {
  const space = "http://www.w3.org/2000/svg", root = document.createElementNS(space, "svg");
  root.setAttribute("viewBox", `0 0 ${width} ${height}`);
  root.setAttribute("role", "img");
  draw((name, attributes, text, title) => {
    const node = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (title !== undefined) { const t = document.createElementNS(space, "title"); t.textContent = title; node.append(t); }
    root.append(node);
    return node;
  });
  return root;
}

const short = (text, most = 24) => text.length > most ? text.slice(0, most - 1) + "\u2026" : text;
const f3 = value => value === null || value === undefined ? "-" : value.toFixed(3);

// The round number that is nearest above.
function nice(value) {
  const ten = 10 ** Math.floor(Math.log10(value));
  return ten * [1, 2, 2.5, 5, 10].find(n => n * ten >= value * 0.999);
}

// Horizontal bars: rows of {name, value, low, high, colour, says}, from 0 to most.
function bars(rows, most, form = f3) {
  const height = 24 * rows.length + 26, left = 150, width = 420, room = width - left - 52;
  return svg(width, height, add => {
    const step = nice(most / 4);
    for (let at = 0; at <= most * 1.0001; at += step) {
      const x = left + room * at / most;
      add("line", { x1: x, x2: x, y1: 4, y2: height - 20, class: "axis" });
      add("text", { x, y: height - 6, "text-anchor": "middle", class: "soft" }, +at.toPrecision(3));
    }
    rows.forEach((row, i) => {
      const y = 6 + 24 * i, w = room * Math.min(1, row.value / most || 0);
      add("text", { x: left - 8, y: y + 13, "text-anchor": "end" }, short(row.name, 22), row.name);
      add("rect", { x: left, y, width: Math.max(0.5, w), height: 17, fill: row.colour, rx: 2, opacity: 0.88 }, undefined, row.says || `${row.name}: ${form(row.value)}`);
      let end = left + w;
      if (row.low !== undefined) {
        const a = left + room * row.low / most, b = left + room * Math.min(1, row.high / most);
        add("path", { d: `M${a} ${y + 8.5}H${b}M${a} ${y + 5}v7M${b} ${y + 5}v7`, stroke: "currentColor", fill: "none", "stroke-width": 1.3 });
        end = Math.max(end, b);
      }
      add("text", { x: end + 5, y: y + 13 }, form(row.value));
    });
  });
}

// Points on [0, x] by [0, y]: rows of {name, x, y, colour, label, says}.
function points(rows, across, up, most = [1, 1], diagonal = false) {
  const width = 420, height = 300, left = 42, bottom = 34, room = width - left - 14, tall = height - bottom - 10;
  return svg(width, height, add => {
    for (let i = 0; i <= 5; i++) {
      const x = left + room * i / 5, y = 10 + tall * (1 - i / 5);
      add("line", { x1: x, x2: x, y1: 10, y2: 10 + tall, class: "axis" });
      add("line", { x1: left, x2: left + room, y1: y, y2: y, class: "axis" });
      add("text", { x, y: height - 20, "text-anchor": "middle", class: "soft" }, +(most[0] * i / 5).toPrecision(2));
      add("text", { x: left - 5, y: y + 4, "text-anchor": "end", class: "soft" }, +(most[1] * i / 5).toPrecision(2));
    }
    if (diagonal) add("line", { x1: left, y1: 10 + tall, x2: left + room, y2: 10, stroke: "currentColor", "stroke-dasharray": "3 3", opacity: 0.5 });
    add("text", { x: left + room / 2, y: height - 4, "text-anchor": "middle" }, short(across, 50));
    add("text", { x: 11, y: 10 + tall / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${10 + tall / 2})` }, short(up, 40));
    const taken = [];
    for (const row of rows) {
      const x = left + room * Math.min(1, row.x / most[0]), y = 10 + tall * (1 - Math.min(1, row.y / most[1]));
      const dot = add("circle", { cx: x, cy: y, r: row.label ? 5.5 : 4, fill: row.colour, opacity: row.label ? 0.95 : 0.6 }, undefined, row.says);
      if (row.go) { dot.style.cursor = "pointer"; dot.addEventListener("click", row.go); }
      if (!row.label) continue;
      let at = y + 4;
      while (taken.some(([a, b]) => Math.abs(a - at) < 12 && Math.abs(b - x) < 150)) at += 12;
      taken.push([at, x]);
      const right = x > left + room * 0.6;
      add("text", { x: right ? x - 9 : x + 9, y: at, "text-anchor": right ? "end" : "start" }, short(row.label));
    }
  });
}
