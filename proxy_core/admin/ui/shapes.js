// The few shapes of which the page is made. Whatever comes from the wire is put in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function draw(tag, className) {
  const element = document.createElementNS(SVG, tag);
  if (className) element.setAttribute("class", className);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tone(element, name) {
  for (const one of ["warn", "bad"]) element.classList.toggle(`tone-${one}`, one === name);
}

// Make `parent` hold one element for each item, in their order. An element stays the same as long as its key is
// there, so that focus, and whatever is moving, stays. `parent.shown`: key -> {element, ...} as `create` answered.
function keep(parent, items, keyOf, create, update) {
  const before = parent.shown || new Map();
  const shown = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const made = before.get(key) || create(item);
    before.delete(key);
    shown.set(key, made);
    update(made, item);
    if (made.element === place) place = place.nextElementSibling;
    else parent.insertBefore(made.element, place);
  }
  for (const left of before.values()) left.element.remove();
  parent.shown = shown;
}

const HIGH_AT = 80; // where on a bar the high watermark is, in percent: a buffer can be fuller than that

// A buffer against its watermarks.
function makeBar() {
  const fill = make("i", "fill");
  return { element: make("span", "bar", fill, make("b", "low"), make("b", "high")), fill };
}

function setBar(bar, bytes, limit, isFull) {
  const share = limit ? (bytes / limit) * HIGH_AT : Math.min(bytes / 1048576, 1) * 100;
  bar.fill.style.width = `${Math.min(100, bytes ? Math.max(share, 2) : 0)}%`;
  bar.element.classList.toggle("full", isFull);
  bar.element.classList.toggle("unlimited", !limit);
  const marks = limit ? `; high watermark ${sizeWords(limit)}, low ${sizeWords(limit / 2)}` : "; no limit";
  bar.element.title = `${sizeWords(bytes)}${marks}`;
}

// The filters in order, as `pipelineOf` says.
function setPills(parent, { names, http, at, waits }) {
  keep(parent, names.map((name, index) => ({ name, index })), (one) => `${one.index} ${one.name}`, (one) => {
    const element = make("span", one.index < http ? "pill" : "pill http", filterWords(one.name));
    element.title = one.name;
    return { element };
  }, ({ element }, one) => {
    element.classList.toggle("parked", one.index === at);
    element.classList.toggle("waits", waits(one.index));
  });
}
