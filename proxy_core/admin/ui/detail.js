// The full answer of one connection: what the row shows, over the last while, and then the whole text
// of /connections/ID, which also knows those that ended.

const SAMPLES = 60; // of each buffer that is drawn over time: half a minute at two a second
const histories = new Map(); // id -> [{at, toClient, toHost}]

// Remember how full the buffers of the shown connections were.
function recordHistory(pairs, at) {
  const here = new Set(pairs.map((pair) => pair.id));
  for (const id of histories.keys()) if (!here.has(id)) histories.delete(id);
  for (const pair of pairs) {
    const { near, far } = pair;
    const history = histories.get(pair.id) || [];
    history.push({
      at,
      toClient: { bytes: near.write[0], limit: near.write[1], held: Boolean(far && far.paused.length) },
      toHost: far && { bytes: far.write[0], limit: far.write[1], held: near.paused.length > 0 },
    });
    if (history.length > SAMPLES) history.shift();
    histories.set(pair.id, history);
  }
}

function makeChart() {
  const name = make("span");
  const now = make("span", "now");
  const svg = draw("svg");
  const parts = {};
  for (const [part, tag] of [["area", "path"], ["edge", "path"], ["low", "line"], ["high", "line"]]) {
    parts[part] = draw(tag, tag === "line" ? `mark ${part}` : part);
    svg.append(parts[part]);
  }
  const held = draw("g");
  svg.prepend(held);
  svg.setAttribute("viewBox", `0 0 ${SAMPLES} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const plot = make("div", "plot", svg, make("span", "high-word", "high watermark"), make("span", "low-word", "low"));
  return { element: make("figure", "chart", make("figcaption", "", name, now), plot), name, now, held, ...parts };
}

function setChart(chart, { title, source, samples }) {
  const last = samples[samples.length - 1];
  const start = SAMPLES - samples.length;
  const y = (sample) => 100 - Math.min(100, sample.limit ? (sample.bytes / sample.limit) * HIGH_AT : 0);
  const points = samples.map((sample, index) => `${start + index + 0.5},${y(sample).toFixed(1)}`).join(" L");
  say(chart.name, title);
  say(chart.now, `${sizeWords(last.bytes)} of ${sizeWords(last.limit)}${last.held ? ` · ${source} paused` : ""}`);
  chart.edge.setAttribute("d", `M${points}`);
  chart.area.setAttribute("d", `M${start + 0.5},100 L${points} L${SAMPLES - 0.5},100Z`);
  for (const [line, at] of [[chart.high, 100 - HIGH_AT], [chart.low, 100 - HIGH_AT / 2]]) {
    line.setAttribute("x1", 0);
    line.setAttribute("x2", SAMPLES);
    line.setAttribute("y1", at);
    line.setAttribute("y2", at);
  }
  const held = samples.map((sample, index) => (sample.held ? start + index : -1)).filter((x) => x >= 0);
  keep(chart.held, held, (x) => x, (x) => {
    const element = draw("rect", "held");
    for (const [name, value] of [["x", x], ["y", 0], ["width", 1], ["height", 100]]) element.setAttribute(name, value);
    return { element };
  }, () => {});
}

function drawDetail(pair, open) {
  say(byId("detail-title"), `C${pair.id}`);
  const [note, mood] = noteOf(pair);
  const age = `open for ${timeWords(pair.age_s)}`;
  say(byId("detail-summary"), note ? `${note[0].toUpperCase()}${note.slice(1)} · ${age}` : `${STATES[pair.state][0]} · ${age}`);
  tone(byId("detail-summary"), mood);
  const history = histories.get(pair.id) || [];
  const both = [
    { title: "Towards the client", source: "host", samples: history.map((one) => one.toClient) },
    { title: "Towards the host", source: "client", samples: history.map((one) => one.toHost).filter(Boolean) },
  ];
  keep(byId("charts"), both.filter((one) => one.samples.length), (one) => one.title, makeChart, setChart);
  const { names, http, at, waits } = pipelineOf(pair);
  keep(byId("pipeline"), names.map((name, index) => ({ name, index })), (one) => `${one.index} ${one.name}`, (one) => {
    const pill = make("span", one.index < http ? "pill" : "pill http");
    const what = make("span", "soft");
    return { element: make("li", "", pill, what), pill, what };
  }, ({ pill, what }, one) => {
    const parked = one.index === at;
    say(pill, filterWords(one.name));
    pill.title = one.name;
    pill.classList.toggle("parked", parked);
    pill.classList.toggle("waits", waits(one.index));
    const held = one.index < http ? "chain" : "request";
    say(what, parked ? `the ${held} is parked here for ${timeWords(pair.parked_s)}` : waits(one.index) ? "waits behind it" : "");
  });
  drawStreams(pair, open);
}

// The HTTP requests of a connection, each with the way it goes.
function drawStreams(pair, open) {
  byId("streams-title").hidden = !pair.streams.length;
  keep(byId("streams"), pair.streams.map((one, index) => ({ ...one, index })), (one) => one.index, () => {
    const [line, state, way, moved] = ["mono", "", "soft", "soft"].map((name) => make("span", name));
    const upstream = make("button", "");
    upstream.type = "button";
    return { element: make("li", "", line, state, make("span", "way", way, upstream), moved), line, state, way, upstream, moved };
  }, ({ line, state, way, upstream, moved }, one) => {
    say(line, requestWords(one));
    say(state, one.state);
    say(way, one.cluster ? `to ${one.host || "no host yet"} of cluster ${one.cluster}` : "answered here");
    upstream.hidden = !pair.far;
    if (pair.far) say(upstream, `C${pair.far.id}`);
    upstream.onclick = () => open(pair.far.id);
    const status = one.response_code ? `status ${one.response_code} · ` : "";
    const flags = one.flags.length ? ` · ${one.flags.join(" ")}` : "";
    say(moved, `${status}${timeWords(one.age_s)} old · body ${sizeWords(one.bytes_in)} received, ${sizeWords(one.bytes_out)} sent${flags}`);
  });
}

// The connection is not among those that are shown, or it has ended.
function drawDetailWithoutPair(id) {
  say(byId("detail-title"), `C${id}`);
  say(byId("detail-summary"), "");
  keep(byId("charts"), [], String, makeChart, setChart);
  for (const id of ["pipeline", "streams"]) keep(byId(id), [], String, () => {}, () => {});
  byId("streams-title").hidden = true;
}

// Ask for the whole text; one question at a time.
let asking = false;
async function askForAnswer(id, isWanted) {
  if (asking) return;
  asking = true;
  try {
    const reply = await fetch(`connections/${id}`, { cache: "no-store" });
    const text = await reply.text();
    if (isWanted()) say(byId("answer"), text);
  } catch (error) {
    if (isWanted()) say(byId("answer"), "The proxy does not answer.");
  } finally {
    asking = false;
  }
}
