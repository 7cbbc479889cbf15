// Elements, numbers and times. Text from the data only ever becomes text nodes and attributes.

const night = JSON.parse(document.getElementById("data").textContent);
const jobs = night.jobs;

const STATES = {
  done: "done",
  gone: "clip missing",
  failed: "failed",
  held: "held",
  active: "under way",
  pending: "waiting",
};

const UNWATCHED = "no run, the machine asleep, or no answer from the provider";

/** For how long of a time nobody could see what the provider did, in ms. */
const unwatched = (from, to) =>
  night.unwatched.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(to, b) - Math.max(from, a)), 0);

/** The word a job is filtered by: what the table says, but for a clip that is no longer on the disk. */
const stateOf = (job) => (job.gone ? "gone" : job.state);

/** Makes an element. `props`: attributes; `on…`: listeners; false and undefined are left out. */
function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

function money(micros) {
  const digits = micros % 10_000 === 0 ? 2 : 4;
  return `$${(micros / 1e6).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

function lasted(ms) {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (seconds < 570)
    return `${Math.floor(Math.round(seconds) / 60)} min${Math.round(seconds) % 60 ? ` ${Math.round(seconds) % 60} s` : ""}`;
  if (minutes < 60) return `${minutes} min`;
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  return days ? `${days} d ${hours} h` : `${hours} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

const size = (bytes) =>
  bytes >= 1e9
    ? `${(bytes / 1e9).toFixed(1)} GB`
    : bytes >= 1e6
      ? `${(bytes / 1e6).toFixed(1)} MB`
      : `${Math.round(bytes / 1e3)} kB`;

const DAY = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
});
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECOND = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = (ms) => DAY.format(ms).replace(",", "");
const clock = (ms) => CLOCK.format(ms);
const moment = (ms) => `${day(ms)}, ${SECOND.format(ms)}`;

/** The highest of what a list has (a list may be too long to spread into a call). */
const highest = (list, of) => list.reduce((most, one) => Math.max(most, of(one)), 0);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor((sorted.length - 1) / 2)] : null;
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Says something to those who listen to the page, and shows it for a moment to those who look at it. */
function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => said.classList.remove("shown"), 1800);
}

/** Copies a text. A page opened from disk may have no clipboard to write to: then the old way, then by hand. */
async function copy(text, what, source) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const box = make("textarea", { class: "offstage", readonly: true, "aria-hidden": "true" });
    box.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(box);
    const before = document.activeElement;
    box.select();
    const copied = document.execCommand("copy");
    box.remove();
    before?.focus();
    if (!copied) {
      if (source) getSelection().selectAllChildren(source);
      say(`Press Ctrl+C to copy the ${what}`);
      return;
    }
  }
  say(`Copied the ${what}`);
}

const copier = (label, what, text, source) =>
  make(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-label": `Copy the ${what}`,
      onclick: () => copy(text, what, source),
    },
    label,
  );

/** A command with its copy button. */
function command(text) {
  const code = make("code", {}, text);
  return make(
    "div",
    { class: "command" },
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Command" }, code),
    copier("Copy", "command", text, code),
  );
}

/** The ways to settle a job, each in words with its command. */
const ways = (job) =>
  make(
    "ul",
    { class: "ways" },
    (job.do ?? []).map((way) => make("li", {}, make("span", {}, `${way.what}:`), command(way.run))),
  );

/** Names one clip in a sentence. */
const named = (job) => [...pair(job), `take ${job.take}`, ...(job.set ?? [])].join(", ");
/** Its image and prompt; a model that takes no picture has no image. */
const pair = (job) => (job.image ? [job.image, job.prompt] : [job.prompt]);
const tag = (job) => make("span", { class: `tag ${stateOf(job)}` }, STATES[stateOf(job)]);

/** Groups that keep the order of first appearance. */
function grouped(list, key) {
  const found = new Map();
  for (const one of list) {
    const name = key(one);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(one);
  }
  return found;
}
