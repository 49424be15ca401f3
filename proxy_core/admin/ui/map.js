// The map: listeners, filter chains, connections, clusters, hosts, and what moves between them.
// Up to FEW connections are drawn one by one, more of them by what they do.

const FEW = 8;
const MOST_DRAWN = 8; // of one column; with more than ROOMY each takes one line
const ROOMY = 5;

function drawMap(picture, wanted, choose) {
  const few = picture.total.connections <= FEW && picture.connections.length === picture.total.connections;
  const links = [];
  drawListeners(picture, wanted, choose);
  drawChains(picture, wanted, choose, links);
  if (few) drawEach(picture, choose, links);
  else drawStates(picture, wanted, choose, links);
  drawClusters(picture, wanted, choose, links);
  drawLinks(links);
}

function makeNode() {
  const name = make("span", "");
  const count = make("span", "count");
  const below = make("span", "below");
  const element = make("button", "node", make("span", "name", name, count), below);
  element.type = "button";
  return { element, name, count, below };
}

function setNode(node, { name, count, word, below, mood, alarm, pressed, press, key }) {
  say(node.name, name);
  say(node.count, count || word || "");
  node.count.classList.toggle("soft", !count);
  say(node.below, below);
  node.below.hidden = !below;
  tone(node.element, mood);
  tone(node.below, alarm ? "bad" : "");
  node.element.title = below ? `${name} · ${below}` : name;
  node.element.dataset.key = key;
  if (pressed === undefined) node.element.removeAttribute("aria-pressed");
  else node.element.setAttribute("aria-pressed", pressed);
  node.element.onclick = press;
}

function drawNodes(parent, all, left) {
  const items = all.slice(0, MOST_DRAWN);
  const more = left + all.length - items.length;
  parent.classList.toggle("tight", items.length > ROOMY);
  keep(parent, items, (item) => item.key, makeNode, setNode);
  let rest = parent.querySelector(":scope > .more");
  if (!more) {
    if (rest) rest.remove();
    return;
  }
  if (!rest) rest = make("p", "more");
  say(rest, `and ${more.toLocaleString("en")} more`);
  parent.append(rest);
}

function drawListeners(picture, wanted, choose) {
  drawNodes(byId("listeners"), picture.listeners.map((one) => ({
    key: `listener ${one.name}`,
    name: one.name,
    count: one.connections.toLocaleString("en"),
    below: one.accepts ? one.addresses.join(", ") : "does not accept",
    mood: one.accepts ? "" : "warn",
    pressed: wanted.listener === one.name && wanted.chain === undefined,
    press: () => choose({ listener: one.name, chain: undefined }),
  })), picture.more_listeners);
}

function chainKey(listener, chain) {
  return `chain ${listener} ${chain}`;
}

function drawChains(picture, wanted, choose, links) {
  drawNodes(byId("chains"), picture.chains.map((one) => {
    const key = chainKey(one.listener, one.name);
    const parked = Object.values(one.parked).reduce((sum, count) => sum + count, 0);
    links.push({ from: `listener ${one.listener}`, to: key, count: one.connections, ...one });
    return {
      key,
      name: one.name || "unnamed",
      count: one.connections.toLocaleString("en"),
      below: parked ? `${parked.toLocaleString("en")} parked by ${Object.keys(one.parked).map(filterWords).join(", ")}`
        : one.filters.map(filterWords).join(" › "),
      alarm: parked,
      pressed: wanted.listener === one.listener && wanted.chain === one.name,
      press: () => choose({ listener: one.listener, chain: one.name }),
    };
  }), picture.more_chains);
}

// Each connection for itself.
function drawEach(picture, choose, links) {
  drawNodes(byId("pairs"), picture.connections.map((one) => {
    const key = `pair ${one.id}`;
    const mood = STATES[one.state][1];
    links.push({ ...one, from: chainKey(one.listener, one.chain), to: key, count: 1, mood });
    if (one.cluster) links.push({ ...one, from: key, to: `cluster ${one.cluster}`, count: 1, mood });
    return {
      key,
      name: `C${one.id}`,
      count: one.state === "moving" ? rateWords(Math.max(one.in_rate, one.out_rate)) : "",
      word: STATES[one.state][2] || STATES[one.state][0],
      below: "",
      mood,
      press: () => choose({ open: one.id }),
    };
  }), 0);
}

// All of them, by what they do.
function drawStates(picture, wanted, choose, links) {
  const states = Object.keys(STATES).filter((state) => picture.total.states[state]);
  drawNodes(byId("pairs"), states.map((state) => ({
    key: `state ${state}`,
    name: STATES[state][0],
    count: picture.total.states[state].toLocaleString("en"),
    below: "",
    mood: STATES[state][1],
    pressed: wanted.state === state,
    press: () => choose({ state }),
  })), 0);
  for (const chain of picture.chains) {
    for (const [state, count] of Object.entries(chain.states)) {
      const moves = state === "moving" ? 1 : 0;
      links.push({
        from: chainKey(chain.listener, chain.name), to: `state ${state}`, count, mood: STATES[state][1],
        in_rate: chain.in_rate * moves, out_rate: chain.out_rate * moves,
      });
    }
  }
  for (const way of picture.ways) {
    links.push({ ...way, from: `state ${way.state}`, to: `cluster ${way.cluster}`, mood: STATES[way.state][1] });
  }
}

function drawClusters(picture, wanted, choose, links) {
  const hosts = [];
  let more = 0;
  drawNodes(byId("clusters"), picture.clusters.map((one) => {
    const key = `cluster ${one.name}`;
    more += one.more_hosts;
    for (const host of one.hosts) {
      if (!wanted.cluster || wanted.cluster === one.name) hosts.push({ ...host, cluster: one.name });
      links.push({ ...host, from: key, to: `host ${one.name} ${host.address}`, count: host.connections, mood: "" });
    }
    const total = one.hosts.length + one.more_hosts;
    return {
      key,
      name: one.name,
      count: one.connections.toLocaleString("en"),
      below: one.unhealthy ? `${one.unhealthy} of ${countWords(total, "host")} not healthy` : countWords(total, "host"),
      alarm: one.unhealthy,
      pressed: wanted.cluster === one.name && !wanted.host,
      press: () => choose({ cluster: one.name, host: "" }),
    };
  }), picture.more_clusters);
  const order = telling(hosts);
  drawNodes(byId("hosts"), order.map((one) => ({
    key: `host ${one.cluster} ${one.address}`,
    name: one.address,
    count: one.connections.toLocaleString("en"),
    below: one.healthy ? "" : one.health.replaceAll("/", " ").trim(),
    mood: one.healthy ? "" : "bad",
    alarm: !one.healthy,
    pressed: wanted.cluster === one.cluster && wanted.host === one.address,
    press: () => choose({ cluster: one.cluster, host: one.address }),
  })), more);
}

// If not all of them can be drawn: those that are ill, then the busiest, in their own order.
function telling(hosts) {
  const chosen = [...hosts].sort((one, other) => one.healthy - other.healthy || other.connections - one.connections);
  const first = new Set(chosen.slice(0, MOST_DRAWN));
  return [...hosts.filter((one) => first.has(one)), ...hosts.filter((one) => !first.has(one))];
}

// Lines between the nodes: as thick as there are many, with a movement where bytes move, the way most of them go.
function drawLinks(links) {
  const svg = byId("links");
  const zero = svg.getBoundingClientRect();
  const places = new Map();
  for (const node of document.querySelectorAll("#map .node")) {
    const box = node.getBoundingClientRect();
    places.set(node.dataset.key, { left: box.left - zero.left, right: box.right - zero.left, y: box.top + box.height / 2 - zero.top });
  }
  const seen = links.filter((link) => link.count && places.has(link.from) && places.has(link.to));
  keep(svg, seen, (link) => `${link.from} > ${link.to}`, () => {
    const element = draw("g");
    const line = draw("path", "link");
    const pulse = draw("path", "pulse");
    element.append(line, pulse);
    return { element, line, pulse };
  }, ({ line, pulse }, link) => {
    const from = places.get(link.from);
    const to = places.get(link.to);
    const bend = (to.left - from.right) / 2;
    const path = `M${from.right},${from.y}C${from.right + bend},${from.y} ${to.left - bend},${to.y} ${to.left},${to.y}`;
    if (line.getAttribute("d") !== path) {
      line.setAttribute("d", path);
      pulse.setAttribute("d", path);
    }
    line.style.strokeWidth = `${1 + 2 * Math.log10(link.count)}px`;
    tone(line, link.mood);
    const rate = link.in_rate + link.out_rate;
    pulse.style.display = rate ? "" : "none";
    pulse.classList.toggle("slow", rate < 1e3);
    pulse.classList.toggle("fast", rate > 1e6);
    pulse.classList.toggle("back", link.out_rate > 1.5 * link.in_rate);
  });
}
