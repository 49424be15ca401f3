// Takes the pictures from the stream, and what is pressed from the reader.
//   wanted: what is shown one by one; a change of it begins another stream
//   opened: the connection whose full answer is shown
// A page that nobody can see has no stream.

const WHY_EVERY = 2000; // ms
const NOTHING_WANTED = { listener: "", chain: undefined, state: "", cluster: "", host: "" };

let wanted = { ...NOTHING_WANTED };
let order = "unusual";
let opened = null;
let openedFrom = null; // where the focus goes back to
let stream = null;
let isHeld = false;
let latest = null;

function query() {
  const chosen = Object.entries({ ...wanted, order }).filter(([name, value]) => value || (name === "chain" && value === ""));
  return new URLSearchParams(chosen).toString();
}

function connect() {
  if (stream) stream.close();
  stream = null;
  if (document.visibilityState === "hidden" || isHeld) return;
  stream = new EventSource(`ui/events?${query()}`);
  stream.addEventListener("picture", (event) => show(JSON.parse(event.data)));
  stream.onerror = () => setStream("lost", "no answer");
}

function setStream(className, text) {
  const status = byId("stream");
  status.className = className;
  say(status, text);
}

function show(picture) {
  latest = picture;
  setStream("live", "watching");
  say(byId("server"), `${picture.server === "LIVE" ? "" : `${picture.server} · `}up ${timeWords(picture.up_s)}`);
  say(byId("total-connections"), picture.total.connections.toLocaleString("en"));
  say(byId("total-word"), picture.total.connections === 1 ? "connection" : "connections");
  say(byId("total-in"), rateWords(picture.total.in_rate));
  say(byId("total-out"), rateWords(picture.total.out_rate));
  recordHistory(picture.connections, picture.up_s);
  drawMap(picture, wanted, choose);
  drawRows(picture, opened, open);
  drawEnded(picture.ended, open);
  drawWanted();
  if (opened !== null) showOpened();
}

// -- what is chosen -----------------------------------------------------------------------------------------------

// Press a part: show only its connections; press it again: all.
function choose(change) {
  if ("open" in change) {
    open(change.open);
    return;
  }
  const isOn = Object.entries(change).every(([name, value]) => wanted[name] === value);
  if (isOn) for (const name of Object.keys(change)) wanted[name] = NOTHING_WANTED[name];
  else Object.assign(wanted, change);
  begin();
}

function begin() {
  if (latest) show(latest);
  connect();
}

const WANTED_WORDS = {
  listener: (value) => `listener ${value}`,
  chain: (value) => `chain ${value || "without a name"}`,
  state: (value) => STATES[value][0],
  cluster: (value) => `cluster ${value}`,
  host: (value) => `host ${value}`,
};

function drawWanted() {
  const chosen = Object.keys(wanted).filter((name) => wanted[name] !== NOTHING_WANTED[name]);
  keep(byId("wanted"), chosen, (name) => name, (name) => {
    const button = make("button", "");
    button.type = "button";
    button.title = "Show all again";
    button.onclick = () => {
      wanted[name] = NOTHING_WANTED[name];
      if (name === "listener") wanted.chain = undefined;
      begin();
    };
    return { element: make("li", "", button), button };
  }, ({ button }, name) => say(button, `${WANTED_WORDS[name](wanted[name])} ×`));
}

// -- the full answer ----------------------------------------------------------------------------------------------

function open(id) {
  if (opened === id) {
    close();
    return;
  }
  if (opened === null) openedFrom = document.activeElement;
  opened = id;
  history.replaceState(null, "", `#C${id}`);
  say(byId("answer"), "");
  byId("detail").hidden = false;
  byId("detail").scrollTop = 0;
  if (latest) show(latest);
  else showOpened();
  byId("detail").focus({ preventScroll: true });
}

function showOpened() {
  const id = opened;
  const pair = latest && latest.connections.find((one) => one.id === id);
  if (pair) drawDetail(pair, open);
  else drawDetailWithoutPair(id);
  askForAnswer(id, () => opened === id);
}

function close() {
  const id = opened;
  opened = null;
  byId("detail").hidden = true;
  history.replaceState(null, "", location.pathname);
  if (latest) show(latest);
  const row = byId("list").querySelector(`.row[data-id="${id}"]`);
  const back = openedFrom && openedFrom.isConnected && openedFrom !== document.body ? openedFrom : row;
  if (back) back.focus();
}

// -- what is unusual ----------------------------------------------------------------------------------------------

async function askWhy() {
  if (document.visibilityState === "hidden" || isHeld) return;
  try {
    const reply = await fetch("why?format=json", { cache: "no-store" });
    if (reply.ok) drawFindings((await reply.json()).findings);
  } catch (error) {
    // The stream says that there is no answer.
  }
}

function drawFindings(findings) {
  byId("unusual").hidden = !findings.length;
  keep(byId("findings"), findings.map((one, index) => ({ ...one, key: `${one.kind} ${one.connection ?? index}` })),
    (one) => one.key, () => {
      const button = make("button", "");
      button.type = "button";
      return { element: make("li", "", button), button };
    }, ({ button }, one) => {
      say(button, one.text);
      button.className = one.kind;
      button.onclick = () => (one.connection === null ? choose({ cluster: one.cluster, host: one.host }) : open(one.connection));
    });
}

// -- keys ---------------------------------------------------------------------------------------------------------

function hold() {
  isHeld = !isHeld;
  byId("hold").setAttribute("aria-pressed", isHeld);
  connect();
  if (isHeld) setStream("", "held");
}

const KEYS = {
  ArrowDown: () => moveInRows(1),
  j: () => moveInRows(1),
  ArrowUp: () => moveInRows(-1),
  k: () => moveInRows(-1),
  h: hold,
  Escape: () => {
    if (opened !== null) {
      close();
    } else {
      wanted = { ...NOTHING_WANTED };
      begin();
    }
  },
};

document.addEventListener("keydown", (event) => {
  const isElsewhere = event.target.closest("select, #detail") && event.key !== "Escape";
  if (isElsewhere || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
document.addEventListener("visibilitychange", connect);
window.addEventListener("resize", () => latest && drawMap(latest, wanted, choose));
byId("close").onclick = close;
byId("hold").onclick = hold;
byId("order").onchange = (event) => {
  order = event.target.value;
  begin();
};

const named = /^#C(\d+)$/.exec(location.hash);
if (named) open(Number(named[1]));
connect();
askWhy();
setInterval(askWhy, WHY_EVERY);
