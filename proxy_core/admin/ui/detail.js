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

function drawDetail(pair) {
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
  const at = pair.filters.indexOf(pair.parked_by);
  keep(byId("pipeline"), pair.filters.map((name, index) => ({ name, index })), (one) => one.index, () => {
    const pill = make("span", "pill");
    const what = make("span", "soft");
    return { element: make("li", "", pill, what), pill, what };
  }, ({ pill, what }, one) => {
    const parked = one.index === at;
    say(pill, filterWords(one.name));
    pill.title = one.name;
    pill.classList.toggle("parked", parked);
    pill.classList.toggle("waits", at >= 0 && one.index > at);
    say(what, parked ? `the chain is parked here for ${timeWords(pair.parked_s)}` : at >= 0 && one.index > at ? "waits behind it" : "");
  });
}

// The connection is not among those that are shown, or it has ended.
function drawDetailWithoutPair(id) {
  say(byId("detail-title"), `C${id}`);
  say(byId("detail-summary"), "");
  keep(byId("charts"), [], String, makeChart, setChart);
  keep(byId("pipeline"), [], String, () => {}, () => {});
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
