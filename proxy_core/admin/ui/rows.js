// The connections one by one: each a row with its client, four buffers, filters and host.

function drawRows(picture, opened, open) {
  const list = byId("list");
  const pairs = steady(list, picture.connections);
  keep(list, pairs, (pair) => pair.id, (pair) => makeRow(pair, open), (row, pair) => setRow(row, pair, opened === pair.id));
  byId("none").hidden = pairs.length > 0;
  const all = picture.matched === picture.total.connections;
  const of = all ? "" : ` of ${picture.total.connections.toLocaleString("en")}`;
  say(byId("shown"), picture.matched > pairs.length
    ? `${pairs.length} shown of ${countWords(picture.matched, "connection")}${all ? "" : " selected"}`
    : `${countWords(picture.matched, "connection")}${of}`);
}

// While somebody points at the list or is in it, rows stay where they are; new ones come at the end.
function steady(list, pairs) {
  if (!list.shown || !(list.matches(":hover") || list.contains(document.activeElement))) return pairs;
  const news = new Map(pairs.map((pair) => [pair.id, pair]));
  const known = [...list.shown.keys()].filter((id) => news.has(id)).map((id) => news.get(id));
  return [...known, ...pairs.filter((pair) => !list.shown.has(pair.id))];
}

function makeRow(pair, open) {
  const id = make("span", "id");
  const client = make("span", "mono soft");
  const near = makeEnds();
  const far = makeEnds();
  const pills = make("span", "pills");
  const cluster = make("span", "id");
  const host = make("span", "mono soft");
  const rateIn = make("span");
  const rateOut = make("span");
  const note = make("span", "note");
  const button = make("button", "row",
    make("span", "two", id, client), near.element, pills, far.element, make("span", "two", cluster, host),
    make("span", "two rates", rateIn, rateOut), note);
  button.type = "button";
  button.onclick = () => open(pair.id);
  return { element: make("li", "", button), button, id, client, near, far, pills, cluster, host, rateIn, rateOut, note };
}

// The two buffers at one end: above what goes to the host, below what goes to the client.
function makeEnds() {
  const upper = makeBar();
  const lower = makeBar();
  const upperArrow = make("span", "arrow");
  const lowerArrow = make("span", "arrow");
  const element = make("span", "end", make("span", "lane", upperArrow, upper.element), make("span", "lane", lowerArrow, lower.element));
  return { element, upper, lower, upperArrow, lowerArrow };
}

function setArrow(arrow, direction, isPaused) {
  say(arrow, isPaused ? "‖" : direction);
  arrow.classList.toggle("paused", isPaused);
}

function setRow(row, pair, isOpen) {
  const { near, far } = pair;
  row.button.dataset.id = pair.id;
  row.button.dataset.state = pair.state;
  row.button.setAttribute("aria-expanded", isOpen);
  row.button.setAttribute("aria-label", pairWords(pair));
  say(row.id, `C${pair.id}`);
  say(row.client, pair.client);
  setBar(row.near.upper, ...near.read, false);
  setBar(row.near.lower, ...near.write);
  setArrow(row.near.upperArrow, "→", near.paused.length > 0);
  setArrow(row.near.lowerArrow, "←", false);
  setPills(row.pills, pipelineOf(pair));
  row.far.element.style.visibility = far ? "" : "hidden";
  if (far) {
    setBar(row.far.upper, ...far.write);
    setBar(row.far.lower, ...far.read, false);
    setArrow(row.far.upperArrow, "→", false);
    setArrow(row.far.lowerArrow, "←", far.paused.length > 0);
  }
  say(row.cluster, pair.cluster);
  say(row.host, pair.cluster ? pair.host : "no upstream");
  say(row.rateIn, `→ ${rateWords(pair.in_rate)}`);
  say(row.rateOut, `← ${rateWords(pair.out_rate)}`);
  const [note, mood] = noteOf(pair);
  say(row.note, note);
  tone(row.note, mood);
}

// Those that ended last, each with the reason.
function drawEnded(ended, open) {
  byId("past").hidden = !ended.length;
  keep(byId("ended"), ended, (one) => `${one.id} ${one.reason}`, (one) => {
    const name = make("button", "", one.id === null ? "refused" : `C${one.id}`);
    name.type = "button";
    name.disabled = one.id === null;
    name.onclick = () => open(one.id);
    const ago = make("span");
    return { element: make("li", "", name, ago, make("span", "", one.listener), make("span", "", one.reason)), ago };
  }, ({ ago }, one) => say(ago, `${timeWords(one.closed_s)} ago`));
}

// Up and down by keys.
function moveInRows(step) {
  const rows = [...byId("list").querySelectorAll(".row")];
  const at = rows.indexOf(document.activeElement);
  const next = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
  if (next) next.focus();
}
