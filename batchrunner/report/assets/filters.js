// The filters over the clips: by state, by setting, by words. They live in the page's address.

function chip(group, value, text, set) {
  const box = make("input", {
    type: "checkbox",
    name: group,
    value,
    checked: set.has(value),
    onchange: () => {
      set[box.checked ? "add" : "delete"](value);
      filter();
    },
  });
  return make("label", { class: "chip" }, box, make("span", {}, text));
}

function choice(legend, group, pairs, set) {
  return make(
    "fieldset",
    {},
    make("legend", {}, legend),
    pairs.map(([value, text]) => chip(group, value, text, set)),
  );
}

function filters() {
  const words = make("input", {
    type: "search",
    id: "words",
    placeholder: "Image, prompt, seed, reason …",
    autocomplete: "off",
    spellcheck: "false",
    oninput: () => {
      picked.words = words.value;
      clearTimeout(filters.timer);
      filters.timer = setTimeout(filter, 80);
    },
  });
  words.value = picked.words;
  const states = [...grouped(jobs, stateOf)].map(([state, some]) => [state, some.length]);
  const order = Object.keys(STATES);
  states.sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
  const sizes = make(
    "fieldset",
    { class: "sizes" },
    make("legend", {}, "Size"),
    Object.keys(sized).map((name) => {
      const radio = make("input", {
        type: "radio",
        name: "size",
        value: name,
        checked: picked.size === name,
        onchange: () => {
          picked.size = name;
          resize();
          remember();
        },
      });
      return make("label", { class: "chip" }, radio, make("span", {}, { s: "S", m: "M", l: "L" }[name]));
    }),
  );
  return make(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": "Filter the clips",
      onsubmit: (event) => event.preventDefault(),
      onreset: () => setTimeout(forget),
    },
    make("div", { class: "field" }, make("label", { for: "words" }, "Find"), words),
    states.length > 1
      ? choice(
          "State",
          "state",
          states.map(([state, number]) => [state, `${STATES[state]} ${number.toLocaleString("en")}`]),
          picked.state,
        )
      : null,
    night.settings.map((setting, index) =>
      choice(
        setting.name.replaceAll("_", " "),
        setting.name,
        setting.values.map((value) => [value, value]),
        picked.settings[index],
      ),
    ),
    sizes,
    make(
      "p",
      { class: "found" },
      make("output", { id: "found" }),
      make("button", { type: "reset", class: "quiet", id: "reset", hidden: true }, "Clear filters"),
    ),
  );
}

function fits(job) {
  if (picked.state.size && !picked.state.has(stateOf(job))) return false;
  if (picked.settings.some((set, index) => set.size && !set.has(job.set[index]))) return false;
  job.hay ??= [
    job.id,
    job.image,
    job.prompt,
    job.text,
    `take ${job.take}`,
    job.seed,
    job.why,
    job.request,
    ...(job.set ?? []),
  ]
    .join("\n")
    .toLowerCase();
  return picked.words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => job.hay.includes(word));
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
    if (place.matches(".takes") && place.previousElementSibling?.matches("h5"))
      place.previousElementSibling.hidden = empty;
  }
  const all = listed.length === jobs.length;
  document.getElementById("found").value = all
    ? count(jobs.length, "job")
    : `${listed.length.toLocaleString("en")} of ${count(jobs.length, "job")}`;
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
  picked.settings.forEach((set, index) =>
    set.forEach((value) => told.append(`set.${night.settings[index].name}`, value)),
  );
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
  night.settings.forEach((setting, index) =>
    told
      .getAll(`set.${setting.name}`)
      .forEach((value) => setting.values.includes(value) && picked.settings[index].add(value)),
  );
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
