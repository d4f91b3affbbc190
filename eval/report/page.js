const data = JSON.parse(document.getElementById("data").textContent);
const names = Object.keys(data.models);
const colour = name => COLOURS[names.indexOf(name) % COLOURS.length];
const place = id => document.getElementById(id);
const make = (tag, content, kind) => { const node = document.createElement(tag); if (content !== undefined) node.textContent = content; if (kind) node.className = kind; return node; };
const metric = data.metric, word = metric === "rounded" ? "edges rounded" : (data.protocols[metric] || [metric])[0];
const scoreOf = (part, name) => { const answer = part.answers[name]; return answer ? answer.metrics[metric] || 0 : null; };

place("title").textContent = data.suite;
place("about").textContent = data.about;
place("counts").textContent = `${data.parts.length} parts, ${names.length} models`;
place("notes").textContent = "VSR: the script ran and left a shape. Means count failures as 0, with 95 % bootstrap intervals over the parts. " +
  Object.entries(data.protocols).filter(([key]) => names.some(n => data.models[n].means[key])).map(([, [a, b]]) => `${a}: ${b}.`).join(" ");

// Tables that sort when a head is clicked; numbers as numbers.
function fill(table, heads, rows, texts = []) {
  const top = make("tr"), body = make("tbody");
  heads.forEach((head, column) => {
    const cell = make("th", head);
    cell.tabIndex = 0;
    const sort = () => {
      const down = cell.getAttribute("aria-sort") !== "descending";
      for (const other of top.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const worth = row => { const text = row.children[column].textContent.replace(/,/g, ""), n = parseFloat(text); return Number.isNaN(n) ? text : n; };
      const ordered = [...body.children].sort((a, b) => { const x = worth(a), y = worth(b); return (typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? 1 : -1) * (down ? -1 : 1); });
      body.append(...ordered);
    };
    cell.addEventListener("click", sort);
    cell.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
    if (texts.includes(column)) cell.className = "text";
    top.append(cell);
  });
  for (const row of rows) {
    const line = make("tr");
    row.forEach((cell, column) => line.append(make("td", cell, texts.includes(column) ? "text" : "")));
    body.append(line);
  }
  const head = make("thead");
  head.append(top);
  table.replaceChildren(head, body);
}
fill(place("results"), data.table.heads, data.table.rows, [data.table.heads.indexOf("failures")]);
fill(place("taken"), data.taken.heads, data.taken.rows);
const p3 = p => p < 0.001 ? "< 0.001" : p.toFixed(3), sign = v => (v < 0 ? "" : "+") + v.toFixed(3);
fill(place("pairs"), ["models", "parts", "difference", "95 %", "better", "equal", "worse", "p"],
  data.pairs.map(p => [`${p.a} - ${p.b}`, p.n, sign(p.difference), `${sign(p.low)} to ${sign(p.high)}`, p.better, p.equal, p.worse, p3(p.p_holm)]));
if (data.calls.asked) place("calls").textContent = `Calls: ${data.calls.asked} made, ${data.calls.answered} answered, ${data.calls.failed} failed and tried again, ${data.calls.lost} lost when a run was killed.`;

const scored = names.filter(n => data.models[n].score);
place("bars").append(bars(scored.map(n => ({ name: n, value: data.models[n].score.mean, low: data.models[n].score.low, high: data.models[n].score.high, colour: colour(n) })), 1));
place("rates").append(points(scored.map(n => ({ x: data.models[n].vsr.mean, y: data.models[n].score.mean, colour: colour(n), label: n, says: n })), "valid syntax rate", word));
const groups = data.complexity.flatMap(g => scored.filter(n => g.models[n]).map((n, i) => ({ name: (i ? "" : `${g.faces[0]}${g.faces[1] === null ? " or more" : " to " + g.faces[1]} faces (${g.models[n].n})`), value: g.models[n].mean, low: g.models[n].low, high: g.models[n].high, colour: colour(n), says: `${n}: ${f3(g.models[n].mean)}` })));
place("complexity").append(groups.length ? bars(groups, 1) : make("p", "The true parts' faces are not known.", "quiet"));
const times = names.map(n => ({ name: n, value: data.models[n].seconds_part, colour: colour(n) })), costs = names.map(n => ({ name: n, value: data.models[n].cost_part || 0, colour: colour(n) }));
place("prices").append(make("p", "seconds a part", "quiet"), bars(times, Math.max(0.01, ...times.map(t => t.value)) * 1.05, v => v < 0.005 ? "0" : v.toPrecision(2)));
const dearest = Math.max(...costs.map(c => c.value));
if (dearest) place("prices").append(make("p", "dollars a part", "quiet"), bars(costs, dearest * 1.05, v => v ? "$" + v.toPrecision(2) : "0"));
else place("prices").append(make("p", "No model cost anything.", "quiet"));
const outcomes = names.flatMap(n => Object.entries(data.models[n].outcomes).map(([what, count], i) => ({ name: i ? what.replace(/_/g, " ") : `${short(n, 11)}: ${what.replace(/_/g, " ")}`, value: count, colour: colour(n), says: `${n}: ${count} ${what}` })));
place("outcomes").append(bars(outcomes, Math.max(4, ...outcomes.map(o => o.value)), v => String(v)));

const option = (select, value, text) => { const node = make("option", text); node.value = value; select.append(node); };
for (const n of names) { option(place("first"), n, n); option(place("second"), n, n); }
place("second").selectedIndex = 0;
place("first").selectedIndex = Math.min(1, names.length - 1);
function scatter() {
  const a = place("first").value, b = place("second").value;
  const rows = data.parts.filter(p => p.answers[a] && p.answers[b]).map(p => ({ x: scoreOf(p, a), y: scoreOf(p, b), colour: colour(b), says: `${p.id}: ${f3(scoreOf(p, a))}, ${f3(scoreOf(p, b))}`, go: () => { const node = place("part-" + p.id); if (node) node.scrollIntoView({ behavior: "smooth", block: "center" }); } }));
  place("scatter").replaceChildren(points(rows, a, b, [1, 1], true));
}
place("first").addEventListener("change", scatter);
place("second").addEventListener("change", scatter);
scatter();

// The gallery.
const START = -Math.PI / 4, ABOVE = Math.atan(1 / Math.SQRT2);
const live = new Set();
let angle = START, tilt = ABOVE, held = false;

function card(title, shape, picture, answer) {
  const node = make("div", undefined, "card"), stage = make("div", undefined, "stage"), says = make("div", undefined, "says");
  if (picture) { const image = make("img"); image.src = picture; image.alt = title; image.draggable = false; stage.append(image); }
  if (shape) { const canvas = make("canvas"); stage.append(canvas); stage.classList.add("shape"); node.view = () => node.made || (node.made = new View(canvas, shape)); }
  if (!shape && !picture) stage.append(make("div", answer ? `${answer.outcome.replace(/_/g, " ")}${answer.message ? ": " + short(answer.message, 110) : ""}` : "not there", "none"));
  says.append(make("b", title));
  node.append(stage, says);
  node.says = says;
  return node;
}

function build(part) {
  const node = make("div", undefined, "part"), head = make("h3", part.id), cards = make("div", undefined, "cards");
  node.id = "part-" + part.id;
  head.append(make("span", `${part.faces === null ? "" : part.faces + " faces"}${part.group ? ", " + part.group : ""}`));
  const all = [card("picture", null, part.picture), card("truth", part.truth, part.truth && part.truth.png)];
  const best = Math.max(...names.map(n => scoreOf(part, n) ?? -1));
  for (const name of names) {
    const answer = part.answers[name];
    if (!answer) continue;
    const one = card(name, answer.shape, answer.shape && answer.shape.png, answer), line = make("div", undefined, "line");
    one.querySelector("b").style.color = colour(name);
    one.querySelector("b").title = name;
    if (answer.outcome === "ok") { line.append(make("span", metric === "rounded" ? (answer.metrics.rounded ? "rounded" : "not rounded") : `IoU ${f3(answer.metrics.iou_best)}`)); }
    else line.append(make("span", answer.outcome.replace(/_/g, " "), "bad"));
    if (best > 0 && scoreOf(part, name) === best) one.classList.add("best");
    if (answer.code) { const button = make("button", "code"); button.addEventListener("click", () => show(part, name, answer)); line.append(button); }
    one.says.append(line);
    const extra = ["iou_aligned", "iou_raw", "iou_box"].filter(k => answer.metrics[k] !== undefined).map(k => `${k.slice(4)} ${answer.metrics[k].toFixed(2)}`);
    one.says.append(make("div", extra.join(", ") || short(answer.message || "", 60), "quiet"));
    all.push(one);
  }
  cards.append(...all);
  node.append(head, cards);
  node.views = all.filter(c => c.view);
  node.addEventListener("pointerenter", () => start(node));
  node.addEventListener("pointerleave", () => { if (!place("turning").checked && !held) stop(node); });
  cards.addEventListener("pointerdown", event => { if (event.target.closest(".stage")) { held = true; start(node); event.target.setPointerCapture(event.pointerId); } });
  cards.addEventListener("pointermove", event => { if (held) { angle -= event.movementX / 80; tilt = Math.max(-1.5, Math.min(1.5, tilt + event.movementY / 80)); } });
  for (const kind of ["pointerup", "pointercancel"]) cards.addEventListener(kind, () => { held = false; });
  return node;
}

function start(node) { if (node.views.length) { live.add(node); node.classList.add("turns"); } }
function stop(node) { live.delete(node); node.classList.remove("turns"); if (!live.size) { angle = START; tilt = ABOVE; } }

function show(part, name, answer) {
  const box = place("code");
  box.querySelector("h3").textContent = `${part.id}: ${name}`;
  box.querySelector("p").textContent = [answer.outcome, answer.message, ...(answer.notes || []), ...(answer.trail || []).map(t => JSON.stringify(t))].filter(Boolean).join("; ");
  box.querySelector("pre").textContent = answer.code;
  box.showModal();
}

let last = 0;
function turn(now) {
  const passed = Math.min(100, now - last);
  last = now;
  if (live.size) {
    if (!held) angle += passed / 1400;
    const until = performance.now() + 24; // the rest of a frame belongs to the page
    for (const node of live) {
      const box = node.getBoundingClientRect();
      if (box.bottom < 0 || box.top > innerHeight) continue;
      for (const one of node.views) one.view().draw(angle, tilt);
      live.delete(node); live.add(node); // whose turn was it comes last
      if (performance.now() > until) break;
    }
  }
  requestAnimationFrame(turn);
}
requestAnimationFrame(turn);

const shownParts = data.parts.filter(p => p.shown), nodes = new Map(shownParts.map(p => [p, build(p)]));
option(place("order"), "id", "name");
option(place("order"), "faces", "faces of the true part");
option(place("order"), "spread", "how far models differ");
for (const n of names) { option(place("order"), "up:" + n, `${n}, worst first`); option(place("order"), "down:" + n, `${n}, best first`); }
option(place("only"), "", "all parts");
for (const n of names) option(place("only"), n, `failures of ${n}`);
function arrange() {
  const order = place("order").value, only = place("only").value, [way, name] = order.split(/:(.*)/);
  const scores = p => names.map(n => scoreOf(p, n)).filter(s => s !== null);
  const worth = { faces: p => p.faces ?? 0, spread: p => Math.min(...scores(p)) - Math.max(...scores(p)), up: p => scoreOf(p, name) ?? 2, down: p => -(scoreOf(p, name) ?? -1) }[way];
  const chosen = shownParts.filter(p => !only || (p.answers[only] && p.answers[only].outcome !== "ok"));
  if (worth) chosen.sort((a, b) => worth(a) - worth(b)); else chosen.sort((a, b) => a.id < b.id ? -1 : 1);
  place("gallery").replaceChildren(...chosen.map(p => nodes.get(p)));
  place("shown").textContent = `${chosen.length} of ${data.parts.length} parts${shownParts.length < data.parts.length ? ` (the page holds pictures of ${shownParts.length})` : ""}`;
}
place("order").addEventListener("change", arrange);
place("only").addEventListener("change", arrange);
place("turning").addEventListener("change", event => { for (const node of nodes.values()) (event.target.checked ? start : stop)(node); });
arrange();
