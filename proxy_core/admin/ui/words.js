// How numbers and states are said. Nothing here touches the page.

// The state of a pair of connections -> [what to call it, its tone, a shorter name].
const STATES = {
  stalled: ["stalled", "bad"],
  parked: ["parked by a filter", "bad", "parked"],
  above_high: ["above watermark", "warn", "over high"],
  flushing: ["flushing, then closing", "warn", "flushing"],
  paused: ["reading paused", "warn", "paused"],
  half_closed: ["half-closed", ""],
  lingering: ["waiting for the peer to close", "", "lingering"],
  connecting: ["connecting", ""],
  moving: ["moving", ""],
  waiting: ["waiting for a response", "", "waiting"],
  idle: ["idle", ""],
};

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"];

function sizeWords(bytes) {
  let size = 0;
  while (bytes >= 1000 && size < SIZES.length - 1) {
    bytes /= 1024;
    size += 1;
  }
  return `${size && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${SIZES[size]}`;
}

function rateWords(bytes) {
  return bytes ? `${sizeWords(bytes)}/s` : "–";
}

function timeWords(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

function countWords(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many || `${one}s`}`;
}

// "envoy.filters.network.tcp_proxy" -> "tcp_proxy", "python:my.filters.Redact" -> "Redact"
function filterWords(name) {
  return name.slice(Math.max(name.lastIndexOf("."), name.lastIndexOf(":")) + 1) || name;
}

// "reading paused by A, B for 3 s"; the same holder twice is said once.
function pauseWords(end, whose) {
  const holders = [...new Set(end.paused)].join(", ");
  return `reading from the ${whose} is paused for ${timeWords(end.paused_s)}: ${holders}`;
}

// "GET /index.html"
function requestWords(stream) {
  return stream.method ? `${stream.method} ${stream.path}` : "a request without a head yet";
}

// The filters of a pair, those of its HTTP request last, and which of them wait for the one at `at` (-1: none is parked).
// A response goes through them the other way.
function pipelineOf(pair) {
  const stream = pair.streams.find((one) => one.parked_by) || pair.streams[0];
  const names = [...pair.filters, ...(stream ? stream.filters : [])];
  const http = pair.filters.length;
  if (stream && stream.parked_by) {
    const at = http + stream.filters.indexOf(stream.parked_by);
    const isResponse = stream.parked_direction === "response";
    return { names, http, at, waits: (index) => (isResponse ? index >= http && index < at : index > at) };
  }
  const at = pair.parked_by ? pair.filters.indexOf(pair.parked_by) : -1;
  return { names, http, at, waits: (index) => at >= 0 && index > at };
}

// What one pair waits for, in a sentence, and the tone of that.
function noteOf(pair) {
  const { near, far } = pair;
  if (pair.parked_by) {
    const end = pair.state === "stalled" ? "; nothing is left to wake it" : "";
    const what = pair.streams.length ? `${requestWords(pair.streams[0])} ` : "";
    return [`${what}parked by ${filterWords(pair.parked_by)} for ${timeWords(pair.parked_s)}${end}`, "bad"];
  }
  if (pair.closing) return [pair.closing, "warn"];
  if (far && far.paused.length) return [pauseWords(far, "host"), "warn"];
  if (near.paused.length) return [pauseWords(near, "client"), "warn"];
  if (near.write[2]) return ["the client takes bytes more slowly than they come", "warn"];
  if (far && far.write[2]) return ["the host takes bytes more slowly than they come", "warn"];
  if (near.reads === "ended") return [`the client has finished sending; quiet for ${timeWords(near.quiet_s)}`, ""];
  if (far && far.reads === "ended") return [`the host has finished sending; quiet for ${timeWords(near.quiet_s)}`, ""];
  if (pair.streams.length) {
    const [stream] = pair.streams;
    return [`${requestWords(stream)}: ${stream.state}, ${timeWords(stream.age_s)}`, ""];
  }
  if (pair.state === "connecting") return ["waiting for the host to accept", ""];
  return [near.quiet_s >= 1 ? `quiet for ${timeWords(near.quiet_s)}` : "", ""];
}

// One pair as a sentence, for those who hear the page.
function pairWords(pair) {
  const [note] = noteOf(pair);
  const where = pair.cluster ? `to ${pair.host || "no host yet"} of cluster ${pair.cluster}` : "answered here";
  return `C${pair.id}, client ${pair.client}, ${where}: ${STATES[pair.state][0]}${note ? `, ${note}` : ""}`;
}
