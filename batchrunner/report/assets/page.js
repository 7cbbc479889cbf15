// The page from top to bottom.

function stat(name, value, more) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, value, more ? make("small", {}, more) : null));
}

const BY_FORCE = "did not end by itself (a kill, a power cut, a full disk?)";
const codeOf = (run) => (run.code === undefined ? "" : ` (exit ${run.code})`);

/** When the last run was, and why it ended. */
function lastRun() {
  const run = night.runs.at(-1);
  if (!run) return null;
  const later = (ms) => (day(ms) === day(run.began) ? SECOND.format(ms) : moment(ms));
  if (run.ended)
    return `The last run, ${moment(run.began)} to ${later(run.ended)}, ${run.why}${codeOf(run)}.`;
  return night.atWork
    ? `A run is at work since ${moment(run.began)}.`
    : `The last run, of ${moment(run.began)}, ${BY_FORCE}: its last word is of ${later(run.wrote)}.`;
}

/** Every start of the command, and how it ended. */
function runs() {
  if (night.runs.length < 2) return null;
  const rows = night.runs.map((run, index) => {
    const atWork = night.atWork && index === night.runs.length - 1;
    const how = run.ended ? `${run.why}${codeOf(run)}` : atWork ? "at work" : BY_FORCE;
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, moment(run.began)),
      make("td", {}, atWork ? "–" : moment(run.ended ?? run.wrote)),
      make("td", { class: "how" }, how),
    );
  });
  const heads = ["began", "ended", "how"].map((text) =>
    make("th", { scope: "col", class: text === "how" ? "how" : null }, text),
  );
  const table = make(
    "table",
    {},
    make("caption", {}, "Runs"),
    make("thead", {}, make("tr", {}, heads)),
    make("tbody", {}, rows),
  );
  return make(
    "details",
    { class: "costs" },
    make("summary", {}, count(night.runs.length, "run")),
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Runs" }, table),
  );
}

function showTop() {
  const by = grouped(jobs, stateOf);
  const number = (state) => by.get(state)?.length ?? 0;
  const done = jobs.filter((job) => job.clip);
  const seconds = done.reduce((sum, job) => sum + job.seconds, 0);
  const bytes = done.reduce((sum, job) => sum + job.bytes, 0);
  const order = Object.keys(STATES).filter((state) => number(state));
  const left = jobs.length - done.length;
  const bar = make(
    "div",
    {
      class: "bar",
      role: "img",
      "aria-label": order.map((state) => `${number(state)} ${STATES[state]}`).join(", "),
    },
    order.map((state) => {
      const part = make("span", { class: state });
      part.style.flexGrow = number(state);
      return part;
    }),
  );
  document.getElementById("top").append(
    make("p", { class: "eyebrow" }, "batchrunner report"),
    make("h1", {}, night.campaign),
    make(
      "p",
      { class: "muted" },
      `${night.model} · ${night.provider === "emulator" ? "emulator, play money" : night.provider}${night.asOf ? ` · as of ${moment(night.asOf)}` : ""}`,
    ),
    make("p", { id: "last-run", class: "muted" }, lastRun()),
    bar,
    make(
      "ul",
      { class: "legend states" },
      order.map((state) =>
        make("li", { class: state }, `${number(state).toLocaleString("en")} ${STATES[state]}`),
      ),
    ),
    make(
      "dl",
      { class: "stats" },
      stat("Clips", done.length.toLocaleString("en"), `of ${jobs.length.toLocaleString("en")}`),
      stat(
        "Spent",
        money(night.spent),
        night.reserved
          ? `+ ${money(night.reserved)} reserved`
          : done.length
            ? `${money(Math.round(night.spent / done.length))} a clip`
            : null,
      ),
      stat("Footage", lasted(seconds * 1000), bytes ? size(bytes) : null),
      stat(
        "Left",
        left.toLocaleString("en"),
        left ? null : number("gone") ? `${count(number("gone"), "clip")} missing` : "nothing left to do",
      ),
    ),
  );
}

const SHOWN = 3; // of the jobs with one and the same trouble

function troubled(job, opened) {
  return make(
    "li",
    {},
    make(
      "details",
      { open: opened },
      make(
        "summary",
        {},
        named(job),
        job.stake ? make("span", { class: "muted" }, ` · ${money(job.stake)} at stake`) : null,
      ),
      ways(job),
      make(
        "button",
        { type: "button", class: "link", onclick: () => show(job) },
        "Its story, payload and seed",
      ),
    ),
  );
}

/** The jobs with some trouble, by its reason; where there are few, they stand open. */
function troubleOf(title, some, lead) {
  if (!some.length) return null;
  const groups = [...grouped(some, (job) => job.why ?? "no reason was given")].map(([why, list]) => {
    const items = list.map((job) => troubled(job, some.length <= SHOWN));
    return make(
      "div",
      { class: "trouble" },
      make(
        "p",
        { class: "why" },
        tag(list[0]),
        " ",
        make("bdi", {}, why),
        list.length > 1 ? make("span", { class: "muted" }, ` · ${count(list.length, "job")}`) : null,
      ),
      make("ul", {}, items.slice(0, SHOWN)),
      items.length > SHOWN
        ? make(
            "details",
            {},
            make("summary", {}, `${count(items.length - SHOWN, "more job")}`),
            make("ul", {}, items.slice(SHOWN)),
          )
        : null,
    );
  });
  return [make("h3", {}, title), lead, groups];
}

function showTrouble() {
  const held = jobs.filter((job) => job.state === "held");
  const failed = jobs.filter((job) => job.state === "failed");
  const gone = jobs.filter((job) => job.gone);
  const waiting = jobs.filter((job) => job.listed && (job.state === "pending" || job.state === "active"));
  const place = document.getElementById("trouble");
  if (!held.length && !failed.length && !gone.length && !waiting.length) return;
  const stake = held.reduce((sum, job) => sum + (job.stake ?? 0), 0);
  place.append(
    ...[
      make(
        "h2",
        { id: "trouble-title" },
        held.length || failed.length || gone.length ? "What needs you" : "What is left",
      ),
      troubleOf(
        `${count(held.length, "job")} held, ${money(stake)} at stake`,
        held,
        make("p", { class: "muted" }, "Nothing more is paid for them until you say what to do."),
      ),
      troubleOf(
        `${count(failed.length, "job")} failed`,
        failed,
        failed.length > 1
          ? [
              make("p", { class: "muted" }, "Mend what the reasons name; then all of them try again with:"),
              command(night.retry),
            ]
          : null,
      ),
      gone.length
        ? [
            make("h3", {}, `${count(gone.length, "finished clip")} not in this folder`),
            make(
              "ul",
              { class: "plain" },
              gone.slice(0, 20).map((job) => make("li", {}, make("code", {}, decodeURI(job.clip)))),
            ),
            make("p", {}, "Put them back, or fetch them again from the provider, free while it has them:"),
            command(night.fetch),
          ]
        : null,
      waiting.length
        ? [
            make("h3", {}, `${count(waiting.length, "job")} not done yet`),
            make("p", {}, "Go on with:"),
            command(night.run),
          ]
        : null,
    ]
      .flat(3)
      .filter(Boolean),
  );
  place.hidden = false;
}

/** A row for each combination of settings: jobs, clips, money, time. */
function costs() {
  const groups = grouped(jobs, (job) => (job.set ?? []).join(" · "));
  const rows = [...groups].map(([name, some]) => {
    const done = some.filter((job) => job.state === "done");
    const times = done.map((job) => job.tries.at(-1).at).filter((at) => !unwatched(at[0], at[4]));
    const took = median(times.map((at) => at[4] - at[0]));
    const cells = [
      `${done.length.toLocaleString("en")} of ${some.length.toLocaleString("en")}`,
      money(some.reduce((sum, job) => sum + (job.cost ?? 0), 0)),
      done.length
        ? money(Math.round(done.reduce((sum, job) => sum + (job.cost ?? 0), 0) / done.length))
        : "–",
      took === null ? "–" : lasted(took),
    ];
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, name || "all jobs"),
      cells.map((text) => make("td", {}, text)),
    );
  });
  const heads = [
    night.settings.map((one) => one.name).join(" · ") || "setting",
    "clips",
    "spent",
    "a clip",
    "median time",
  ];
  const table = make(
    "table",
    {},
    make("caption", {}, "Cost and time by setting"),
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        heads.map((text) => make("th", { scope: "col" }, text)),
      ),
    ),
    make("tbody", {}, rows),
  );
  const scroll = make(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "Cost and time by setting" },
    table,
  );
  return make(
    "details",
    { class: "costs", open: rows.length > 1 && rows.length <= 8 },
    make("summary", {}, "Cost and time by setting"),
    scroll,
  );
}

recall();
showTop();
showTrouble();
showNight();
showGrid();
resize();
filter();
document
  .getElementById("end")
  .append(
    make(
      "p",
      {},
      `Made by batchrunner ${night.version} from the state table. Times are in this browser's time zone; money is what the price list says, at most.`,
    ),
  );
addEventListener("beforeprint", () => {
  for (const still of document.querySelectorAll("img[loading]")) still.loading = "eager";
  for (const one of document.querySelectorAll("details")) one.open = true;
});
document.documentElement.dataset.ready = "";
