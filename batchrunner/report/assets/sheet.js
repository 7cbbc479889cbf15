// One job's sheet: the clip at full size with sound, payload and seed to copy, what happened and when.

const sheet = document.getElementById("sheet");
let listed = []; // the jobs that the filters show, in the order of the page
let current = null;

const STEPS = ["submitted", "taken by the provider", "rendered", "downloaded and checked", "filed"];

function fact(name, value, ...more) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value, ...more));
}

function facts(job) {
  const rows = [];
  for (const [index, setting] of night.settings.entries()) rows.push(fact(setting.name, job.set[index]));
  if (job.seed !== undefined)
    rows.push(fact("seed", make("code", {}, String(job.seed)), copier("Copy", "seed", String(job.seed))));
  const spent = job.reserved && !job.cost ? [] : [money(job.cost ?? 0)];
  rows.push(
    fact("cost", [...spent, ...(job.reserved ? [`${money(job.reserved)} reserved`] : [])].join(" and ")),
  );
  const last = job.tries?.at(-1);
  if (job.clip && last) {
    const away = unwatched(last.at[0], last.at[4]);
    const aside = away ? `, ${lasted(away)} of it not looked at (${UNWATCHED})` : "";
    rows.push(fact("time", `${lasted(last.at[4] - last.at[0])} from submission to file${aside}`));
  }
  if (job.clip) rows.push(fact("clip", `${job.ratio.join(" × ")}, ${job.seconds} s, ${size(job.bytes)}`));
  if (job.request)
    rows.push(fact("request", make("code", {}, job.request), copier("Copy", "request id", job.request)));
  rows.push(fact("job", make("code", {}, job.id), copier("Copy", "job id", job.id)));
  if (job.sha256) rows.push(fact("sha256", make("code", {}, job.sha256)));
  return make("dl", { class: "facts" }, rows);
}

/** What happened, in the words of the events where it did not go plainly, else by the attempt's times. */
function story(job) {
  const told =
    job.story ??
    (job.tries ?? []).flatMap((one) =>
      one.at
        .map((at, index) => [at, STEPS[index]])
        .filter(([at], index) => at !== null && (index < 4 || one.state === "done")),
    );
  if (!told.length) return null;
  let shownDay = "";
  const rows = told.map(([at, text]) => {
    const today = day(at);
    const head = today !== shownDay ? make("li", { class: "day" }, today) : null;
    shownDay = today;
    return [
      head,
      make(
        "li",
        {},
        make("time", { datetime: new Date(at).toISOString() }, SECOND.format(at)),
        make("span", {}, text),
      ),
    ];
  });
  return [make("h3", {}, "What happened"), make("ol", { class: "story" }, rows.flat())];
}

function stage(job) {
  if (!job.clip || job.gone) {
    const why = job.gone ? `The clip ${decodeURI(job.clip)} is not in this folder.` : job.now;
    return make("div", { class: "stage empty" }, make("p", { class: "why" }, why), ways(job));
  }
  const shown = make("video", {
    src: job.clip,
    poster: job.still,
    controls: true,
    loop: true,
    playsinline: true,
    preload: "metadata",
    "aria-label": named(job),
  });
  if (!calm.matches) shown.autoplay = true;
  return make("div", { class: "stage" }, shown);
}

function files(job) {
  if (!job.clip || job.gone) return null;
  const links = [
    ["Open the clip", job.clip],
    ...(job.more ?? []).map((path, index) => [`Open file ${index + 2}`, path]),
    ["Open its JSON", job.sidecar],
  ];
  return make(
    "p",
    { class: "links" },
    links.map(([text, path]) => make("a", { href: path, target: "_blank", rel: "noopener" }, text)),
  );
}

function fill(job) {
  const at = listed.indexOf(job);
  const code = make("code", {}, job.payload);
  const step = (by, text, mark) =>
    make(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": text,
        disabled: !listed[at + by],
        onclick: () => turn(by),
      },
      mark,
    );
  sheet.replaceChildren(
    make(
      "header",
      {},
      make(
        "div",
        {},
        make(
          "h2",
          { id: "sheet-title", tabindex: "-1" },
          [...pair(job), `take ${job.take}`, ...(job.set ?? [])].join(" · "),
        ),
        stateOf(job) === "done" ? null : tag(job),
        job.listed ? null : make("span", { class: "tag" }, "no longer in the manifest"),
      ),
      make(
        "div",
        { class: "tools" },
        make(
          "span",
          { class: "muted" },
          at < 0 ? "" : `${(at + 1).toLocaleString("en")} of ${listed.length.toLocaleString("en")}`,
        ),
        step(-1, "Previous job", "←"),
        step(1, "Next job", "→"),
        make("button", { type: "button", class: "quiet", onclick: () => sheet.close() }, "Close"),
      ),
    ),
    make(
      "div",
      { class: "halves" },
      make("div", {}, stage(job), make("p", { class: "words", dir: "auto" }, job.text), files(job)),
      make(
        "div",
        {},
        make("h3", {}, "Facts"),
        facts(job),
        make(
          "div",
          { class: "row" },
          make("h3", {}, "Payload"),
          copier("Copy payload", "payload", job.payload, code),
        ),
        make("pre", { tabindex: "0", "aria-label": "Payload" }, code),
        job.cut
          ? make(
              "p",
              { class: "muted" },
              "What an address holds after its ? is left out here; the JSON beside the clip has it.",
            )
          : null,
        story(job),
      ),
    ),
  );
}

function show(job) {
  current = job;
  fill(job);
  if (!sheet.open) sheet.showModal();
  sheet.scrollTop = 0;
  sheet.querySelector("#sheet-title").focus({ preventScroll: true });
}

function turn(by) {
  const next = listed[listed.indexOf(current) + by];
  if (next) show(next);
}

sheet.addEventListener("keydown", (event) => {
  if (event.target.closest("video, pre, .scroll") || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "ArrowLeft") turn(-1);
  if (event.key === "ArrowRight") turn(1);
});
sheet.addEventListener("click", (event) => {
  if (event.target === sheet) sheet.close(); // on the backdrop
});
sheet.addEventListener("close", () => {
  const thumb = current && document.querySelector(`[data-job="${jobs.indexOf(current)}"] .more`);
  sheet.replaceChildren();
  if (thumb && !thumb.closest("[hidden]")) thumb.focus({ preventScroll: false });
});
