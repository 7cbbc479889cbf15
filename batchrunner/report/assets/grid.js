// The clips: a section for each image (one without a name where there are none), a cell for each prompt, takes and settings side by side in it; and the filters.

const sized = { s: 132, m: 208, l: 340 }; // how wide a clip is at least, in pixels
const MANY = 300; // from here on what is far from the window is not laid out: its height is a guess, and the page shifts
const cards = []; // {job, element}, in the order of the page
const picked = {
  state: new Set(),
  settings: night.settings.map(() => new Set()),
  words: "",
  size: "m",
  old: false,
};

function card(job, index) {
  const whole = job.clip && !job.gone;
  const thumb = whole
    ? thumbOf(job, index)
    : make(
        "div",
        { class: `thumb empty ${stateOf(job)}` },
        tag(job),
        make("span", { class: "reason" }, job.gone ? "not in this folder" : (job.why ?? "")),
      );
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
      make(
        "button",
        { type: "button", class: "more", "aria-label": `Details of ${named(job)}`, onclick: () => show(job) },
        "Details",
      ),
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
    make(
      "div",
      { class: "takes", role: "list", "aria-label": name || "takes" },
      list.map(([job, index]) => card(job, index)),
    ),
  ]);
  const element = make(
    "div",
    { class: "cell", role: "group", "aria-labelledby": `${image} ${title}` },
    make(
      "header",
      {},
      make("h4", { id: title }, some[0][0].prompt),
      playable > 1
        ? make(
            "button",
            {
              type: "button",
              class: "quiet all",
              "aria-label": `Play all clips of ${pair(some[0][0]).join(", ")}`,
              onclick: () => playAll(element),
            },
            "Play all",
          )
        : null,
      make("p", { dir: "auto", title: some[0][0].text ?? "" }, some[0][0].text ?? ""),
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
  const takes = highest([...rows.values()], (list) => list.length);
  const sections = [
    ...grouped(
      jobs.map((job, index) => [job, index]),
      ([job]) => job.image,
    ),
  ].map(([image, some], index) =>
    make(
      "section",
      { class: "image" }, // without a name: hundreds of landmarks would help nobody, the headings do
      make(
        "header",
        {},
        make("h3", { id: `image-${index}` }, image ?? "All prompts"),
        make("span", { class: "muted" }, count(some.length, "job")),
      ),
      make(
        "div",
        { class: "cells" },
        [...grouped(some, ([job]) => job.prompt)].map(([, list]) => cell(list, number++, `image-${index}`)),
      ),
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
