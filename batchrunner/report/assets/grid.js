// The clips: a section for each image, a cell for each prompt, takes and settings side by side in it; and the filters.

const sized = { s: 132, m: 208, l: 340 }; // how wide a clip is at least, in pixels
const MANY = 300; // from here on what is far from the window is not laid out: its height is a guess, and the page shifts
const cards = []; // {job, element}, in the order of the page
const picked = { state: new Set(), settings: night.settings.map(() => new Set()), words: "", size: "m", old: false };

function card(job, index) {
  const whole = job.clip && !job.gone;
  const thumb = whole ? thumbOf(job, index) : make("div", { class: `thumb empty ${stateOf(job)}` }, tag(job), make("span", { class: "reason" }, job.gone ? "not in this folder" : (job.why ?? "")));
  if (job.ratio) thumb.style.setProperty("--ratio", `${job.ratio[0]} / ${job.ratio[1]}`);
  const element = make(
    "div",
    { class: "clip", role: "listitem", "data-job": index },
    thumb,
    make(
      "div",
      { class: "caption" },
      make("span", { class: "take" }, `take ${job.take}`),
      job.seed === undefined ? null : make("span", { class: "seed" }, `seed ${job.seed}`),
      make("button", { type: "button", class: "more", "aria-label": `Details of ${named(job)}`, onclick: () => show(job) }, "Details"),
    ),
    job.listed ? null : make("span", { class: "old" }, "no longer in the manifest"),
  );
  cards.push({ job, element });
  return element;
}

function cell(some, number, image) {
  const bySetting = grouped(some, ([job]) => (job.set ?? []).join(" · "));
  const title = `cell-${number}`;
  const playable = some.filter(([job]) => job.clip && !job.gone).length;
  const takes = [...bySetting].map(([name, list]) => [
    name && make("h5", {}, name),
    make("div", { class: "takes", role: "list", "aria-label": name || "takes" }, list.map(([job, index]) => card(job, index))),
  ]);
  const element = make(
    "div",
    { class: "cell", role: "group", "aria-labelledby": `${image} ${title}` },
    make(
      "header",
      {},
      make("h4", { id: title }, some[0][0].prompt),
      playable > 1 ? make("button", { type: "button", class: "quiet all", "aria-label": `Play all clips of ${some[0][0].image}, ${some[0][0].prompt}`, onclick: () => playAll(element) }, "Play all") : null,
      make("p", { title: some[0][0].text ?? "" }, some[0][0].text ?? ""),
    ),
    make("div", {}, takes.flat()),
  );
  return element;
}

function playAll(place) {
  const thumbs = [...place.querySelectorAll(".clip:not([hidden]) button.thumb")];
  const running = thumbs.every((thumb) => "pinned" in thumb.dataset);
  for (const thumb of thumbs) {
    stop(thumb);
    if (!running) play(thumb, true);
  }
}

function showGrid() {
  const place = document.getElementById("clips");
  let number = 0;
  const rows = grouped(jobs, (job) => [job.image, job.prompt, ...(job.set ?? [])].join("\n"));
  const takes = Math.max(...[...rows.values()].map((list) => list.length));
  const sections = [...grouped(jobs.map((job, index) => [job, index]), ([job]) => job.image)].map(([image, some], index) =>
    make(
      "section",
      { class: "image" }, // without a name: hundreds of landmarks would help nobody, the headings do
      make("header", {}, make("h3", { id: `image-${index}` }, image), make("span", { class: "muted" }, count(some.length, "job"))),
      make("div", { class: "cells" }, [...grouped(some, ([job]) => job.prompt)].map(([, list]) => cell(list, number++, `image-${index}`))),
    ),
  );
  const none = make("p", { id: "none", hidden: true }, "Nothing here fits these filters.");
  place.append(make("h2", { id: "clips-title" }, "Clips"), filters(), none, ...sections);
  place.classList.toggle("many", jobs.length > MANY);
  place.style.setProperty("--takes", Math.min(takes, 6));
  place.style.setProperty("--half", takes > 1 ? "calc(50% - 5px)" : "100%"); // of two takes, both fit on a phone
  place.addEventListener("keydown", walk);
}

/** Arrow keys go from clip to clip; Tab goes through everything. */
function walk(event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by || !event.target.matches?.("button.thumb")) return;
  const thumbs = [...document.querySelectorAll("#clips .clip:not([hidden]) button.thumb")];
  thumbs[thumbs.indexOf(event.target) + by]?.focus();
  event.preventDefault();
}

// --- the filters ------------------------------------------------------------------------------------------------

function chip(group, value, text, set) {
  const box = make("input", { type: "checkbox", name: group, value, checked: set.has(value), onchange: () => { set[box.checked ? "add" : "delete"](value); filter(); } });
  return make("label", { class: "chip" }, box, make("span", {}, text));
}

function choice(legend, group, pairs, set) {
  return make("fieldset", {}, make("legend", {}, legend), pairs.map(([value, text]) => chip(group, value, text, set)));
}

function filters() {
  const words = make("input", { type: "search", id: "words", placeholder: "Image, prompt, seed, reason …", autocomplete: "off", spellcheck: "false", oninput: () => { picked.words = words.value; clearTimeout(filters.timer); filters.timer = setTimeout(filter, 80); } });
  words.value = picked.words;
  const states = [...grouped(jobs, stateOf)].map(([state, some]) => [state, some.length]);
  const order = Object.keys(STATES);
  states.sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
  const sizes = make("fieldset", { class: "sizes" }, make("legend", {}, "Size"), Object.keys(sized).map((name) => {
    const radio = make("input", { type: "radio", name: "size", value: name, checked: picked.size === name, onchange: () => { picked.size = name; resize(); remember(); } });
    return make("label", { class: "chip" }, radio, make("span", {}, { s: "S", m: "M", l: "L" }[name]));
  }));
  return make(
    "form",
    { class: "filters", role: "search", "aria-label": "Filter the clips", onsubmit: (event) => event.preventDefault(), onreset: () => setTimeout(forget) },
    make("div", { class: "field" }, make("label", { for: "words" }, "Find"), words),
    states.length > 1 ? choice("State", "state", states.map(([state, number]) => [state, `${STATES[state]} ${number.toLocaleString("en")}`]), picked.state) : null,
    night.settings.map((setting, index) => choice(setting.name.replaceAll("_", " "), setting.name, setting.values.map((value) => [value, value]), picked.settings[index])),
    sizes,
    make("p", { class: "found" }, make("output", { id: "found" }), make("button", { type: "reset", class: "quiet", id: "reset", hidden: true }, "Clear filters")),
  );
}

function fits(job) {
  if (picked.state.size && !picked.state.has(stateOf(job))) return false;
  if (picked.settings.some((set, index) => set.size && !set.has(job.set[index]))) return false;
  job.hay ??= [job.id, job.image, job.prompt, job.text, `take ${job.take}`, job.seed, job.why, job.request, ...(job.set ?? [])].join("\n").toLowerCase();
  return picked.words.toLowerCase().split(/\s+/).every((word) => job.hay.includes(word));
}

function filter() {
  listed = [];
  for (const { job, element } of cards) {
    const shown = fits(job);
    if (element.hidden === shown) element.hidden = !shown;
    if (shown) listed.push(job);
  }
  for (const place of document.querySelectorAll("#clips .takes, #clips .cell, #clips .image")) {
    const empty = !place.querySelector(".clip:not([hidden])");
    place.hidden = empty;
    if (place.matches(".takes") && place.previousElementSibling?.matches("h5")) place.previousElementSibling.hidden = empty;
  }
  const all = listed.length === jobs.length;
  document.getElementById("found").value = all ? count(jobs.length, "job") : `${listed.length.toLocaleString("en")} of ${count(jobs.length, "job")}`;
  document.getElementById("reset").hidden = all && !picked.words;
  document.getElementById("none").hidden = listed.length > 0;
  remember();
}

function resize() {
  document.getElementById("clips").style.setProperty("--clip", `${sized[picked.size]}px`);
}

/** Keeps the filters in the page's address, so that a reload or a bookmark shows the same. */
function remember() {
  const told = new URLSearchParams();
  if (picked.words) told.set("find", picked.words);
  if (picked.state.size) told.set("state", [...picked.state].join(","));
  picked.settings.forEach((set, index) => set.forEach((value) => told.append(`set.${night.settings[index].name}`, value)));
  if (picked.size !== "m") told.set("size", picked.size);
  const hash = told.toString();
  if (hash === location.hash.slice(1)) return;
  try {
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
  } catch {
    // some browsers let no page from disk change its address
  }
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  picked.words = told.get("find") ?? "";
  for (const state of (told.get("state") ?? "").split(",")) if (state in STATES) picked.state.add(state);
  night.settings.forEach((setting, index) => told.getAll(`set.${setting.name}`).forEach((value) => setting.values.includes(value) && picked.settings[index].add(value)));
  if (told.get("size") in sized) picked.size = told.get("size");
}

function forget() {
  picked.words = "";
  picked.state.clear();
  for (const set of picked.settings) set.clear();
  for (const box of document.querySelectorAll(".filters input")) {
    if (box.type === "radio") box.checked = box.value === picked.size;
    else if (box.type === "checkbox") box.checked = false;
    else box.value = "";
  }
  filter();
}
