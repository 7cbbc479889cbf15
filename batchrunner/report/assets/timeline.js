// The night as one picture: how many jobs were on their way at each moment, and below, each try as a bar in the
// first free lane. Hours in which nothing was on its way are cut out, and the cut is named.

const CUT_MS = 10 * 60_000; // a shorter pause stays in the picture
const LANES_MAX = 64; // more would be thinner than a pixel: then the upper picture tells it alone
const WIDTH_MIN = 560;
const CUT_W = 46;
const STRETCHES_MAX = 8;

const PHASES = [
  ["sent", "submitting"],
  ["render", "at the provider"],
  ["fetch", "downloading and filing"],
];
const AWAY = ["away", `not looked at: ${UNWATCHED}`];

/** Every try as {job, from, to, parts}, oldest first. */
function bars() {
  const found = [];
  for (const job of jobs) {
    for (const one of job.tries ?? []) {
      const [sent, taken, ready, fetched, end] = one.at;
      const to = Math.max(end ?? sent, sent);
      const parts = [
        [sent, taken ?? to],
        [taken, taken === null ? null : (ready ?? to)],
        [ready, ready === null ? null : Math.max(to, fetched ?? to)],
      ];
      found.push({
        job,
        one,
        from: sent,
        to,
        parts,
        bad: !["done", "accepted", "ready", "fetched", "submitting"].includes(one.state),
      });
    }
  }
  return found.sort((a, b) => a.from - b.from || a.to - b.to);
}

/** The stretches in which something was on its way, as [from, to]; where they are too many, with longer pauses. */
function stretches(all, pause = CUT_MS) {
  const found = [];
  for (const bar of all) {
    const last = found.at(-1);
    if (last && bar.from - last[1] < pause) last[1] = Math.max(last[1], bar.to);
    else found.push([bar.from, bar.to]);
  }
  return found.length > STRETCHES_MAX ? stretches(all, 2 * pause) : found;
}

/** A scale from time to x over stretches with cuts between them. */
function scale(parts, width) {
  const busy = parts.reduce((sum, [from, to]) => sum + Math.max(to - from, 1), 0);
  const free = width - CUT_W * (parts.length - 1);
  let x = 0;
  const pieces = parts.map(([from, to]) => {
    const wide = (free * Math.max(to - from, 1)) / busy;
    const piece = { from, to, x, wide };
    x += wide + CUT_W;
    return piece;
  });
  const of = (ms) => {
    const piece = pieces.findLast((one) => ms >= one.from) ?? pieces[0];
    return (
      piece.x +
      (piece.wide * Math.min(Math.max(ms - piece.from, 0), piece.to - piece.from)) /
        Math.max(piece.to - piece.from, 1)
    );
  };
  return { of, pieces };
}

function lanes(all) {
  const free = [];
  for (const bar of all) {
    let lane = free.findIndex((until) => until <= bar.from);
    if (lane < 0) lane = free.length;
    free[lane] = bar.to;
    bar.lane = lane;
    if (free.length > LANES_MAX) return null;
  }
  return free.length;
}

/** How many were on their way, as steps: [[ms, number], …]; a place that is taken at once counts once. */
function density(all, until = (bar) => bar.to) {
  const edges = all
    .flatMap((bar) => [
      [bar.from, 1],
      [until(bar), -1],
    ])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let now = 0;
  return edges.map(([ms, by]) => [ms, (now += by)]);
}

const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400].map(
  (s) => s * 1000,
);

function axis(svg, { of, pieces }, y, height, width) {
  const perMs = pieces[0].wide / Math.max(pieces[0].to - pieces[0].from, 1);
  const every = TICKS.find((step) => step * perMs > 86) ?? TICKS.at(-1);
  const text = every < 60_000 ? (ms) => SECOND.format(ms) : clock;
  const offset = new Date(pieces[0].from).getTimezoneOffset() * 60_000; // ticks at whole hours of the reader's own clock
  for (const piece of pieces) {
    let last = -Infinity;
    for (let ms = Math.ceil((piece.from - offset) / every) * every + offset; ms <= piece.to; ms += every) {
      const x = of(ms);
      if (x - last < 60) continue;
      last = x;
      svg.append(draw("line", { class: "tick", x1: x, x2: x, y1: 0, y2: height }));
      if (x > 16 && x < width - 16)
        svg.append(draw("text", { class: "label", x, y, "text-anchor": "middle" }, text(ms)));
    }
  }
  for (const [index, piece] of pieces.entries()) {
    const next = pieces[index + 1];
    if (!next) break;
    const x = piece.x + piece.wide;
    svg.append(draw("rect", { class: "cut", x: x + 4, y: 0, width: CUT_W - 8, height }));
    svg.append(
      draw(
        "text",
        { class: "label", x: x + CUT_W / 2, y, "text-anchor": "middle" },
        lasted(next.from - piece.to),
      ),
    );
  }
}

function picture(all, width) {
  const { of, pieces } = scale(stretches(all), width);
  const steps = density(all);
  const most = highest(steps, ([, number]) => number);
  const rows = all.length <= 2 ? 0 : lanes(all);
  const rise = 64;
  const laneTop = rise + 14;
  const lane = rows ? Math.max(2, Math.min(9, Math.floor(150 / rows))) : 0;
  const body = rows ? laneTop + rows * lane : rise;
  const height = body + 22;
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-labelledby": "night-words",
  });
  axis(svg, { of, pieces }, height - 5, body, width);
  const y = (number) => rise - (number / most) * (rise - 12);
  let path = `M${of(pieces[0].from).toFixed(1)},${rise}`;
  let level = 0;
  for (const [ms, number] of steps) {
    const x = of(ms).toFixed(1);
    path += `L${x},${y(level).toFixed(1)}L${x},${y(number).toFixed(1)}`;
    level = number;
  }
  svg.append(draw("path", { class: "area", d: `${path}L${of(pieces.at(-1).to).toFixed(1)},${rise}Z` }));
  svg.append(draw("line", { class: "base", x1: 0, x2: width, y1: rise, y2: rise }));
  const paths = Object.fromEntries([...PHASES.map(([name]) => name), "bad", "away"].map((name) => [name, ""]));
  const bar = (top, from, to) =>
    `M${of(from).toFixed(2)},${top}H${Math.max(of(to), of(from) + 0.4).toFixed(2)}v${lane - 1}H${of(from).toFixed(2)}z`;
  if (rows) {
    for (const one of all) {
      const top = laneTop + one.lane * lane;
      for (const [index, [from, to]] of one.parts.entries()) {
        if (from === null || to === null || to <= from) continue;
        paths[one.bad ? "bad" : PHASES[index][0]] += bar(top, from, to);
      }
      for (const [from, to] of night.unwatched)
        if (from < one.to && to > one.from) paths.away += bar(top, Math.max(from, one.from), Math.min(to, one.to));
    }
    for (const [name, d] of Object.entries(paths))
      if (d) svg.append(draw("path", { class: `bar ${name}`, d }));
  }
  return { svg, rows, lane, laneTop, of };
}

/** Shows which try the pointer is over, and opens its job on a click. */
function point(frame, all, shown) {
  const note = make("p", { class: "note", "aria-hidden": "true" });
  frame.append(note);
  const find = (event) => {
    const box = shown.svg.getBoundingClientRect();
    const x = event.clientX - box.left;
    const row = Math.floor((event.clientY - box.top - shown.laneTop) / shown.lane);
    return all.find((bar) => bar.lane === row && shown.of(bar.from) - 1 <= x && x <= shown.of(bar.to) + 1);
  };
  shown.svg.addEventListener("pointermove", (event) => {
    const bar = find(event);
    note.classList.toggle("shown", Boolean(bar));
    if (!bar) return;
    note.textContent = `${named(bar.job)} · ${SECOND.format(bar.from)} to ${SECOND.format(bar.to)} · ${lasted(bar.to - bar.from)}${bar.bad ? ` · ${bar.one.state}` : ""}`;
    const box = frame.getBoundingClientRect();
    const left = Math.max(0, Math.min(event.clientX - box.left + 12, box.width - note.offsetWidth));
    note.style.left = `${left + frame.scrollLeft}px`;
    note.style.top = `${Math.max(0, event.clientY - box.top - 34)}px`;
  });
  shown.svg.addEventListener("pointerleave", () => note.classList.remove("shown"));
  shown.svg.addEventListener("click", (event) => {
    const bar = find(event);
    if (bar) show(bar.job);
  });
}

/** What the picture says, in words: also for those who cannot see it. */
function inWords(all) {
  const most = highest(density(all, (bar) => bar.one.at[2] ?? bar.to), ([, number]) => number);
  const parts = stretches(all);
  const [first, last] = [parts[0][0], highest(parts, ([, to]) => to)];
  const busy = parts.reduce((sum, [from, to]) => sum + to - from - unwatched(from, to), 0);
  const filed = all.filter((bar) => bar.one.state === "done");
  const done = filed.filter((bar) => !unwatched(bar.from, bar.to));
  const left = filed.length - done.length;
  const render = median(
    done
      .filter((bar) => bar.one.at[1] !== null && bar.one.at[2] !== null)
      .map((bar) => bar.one.at[2] - bar.one.at[1]),
  );
  const fetch = median(done.filter((bar) => bar.one.at[2] !== null).map((bar) => bar.to - bar.one.at[2]));
  const sentences = [
    `${count(all.length, "submission")} in ${lasted(busy)} of work${parts.length > 1 ? `, in ${parts.length} stretches` : ""}: ${moment(first)} to ${day(first) === day(last) ? SECOND.format(last) : moment(last)}.`,
    `At most ${count(most, "job")} at the provider at once.`,
  ];
  if (render !== null)
    sentences.push(
      `A clip took ${lasted(render)} at the provider${fetch !== null ? ` and ${lasted(fetch)} to download and file` : ""} (medians).`,
    );
  if (left) sentences.push(`Left out: ${count(left, "clip")}, not looked at for a while (${UNWATCHED}).`);
  return sentences.join(" ");
}

function showNight() {
  const all = bars();
  const place = document.getElementById("night");
  if (!all.length) return;
  const frame = make("div", { class: "chart" });
  const legend = make(
    "ul",
    { class: "legend" },
    PHASES.map(([name, text]) => make("li", { class: name }, text)),
    all.some((bar) => bar.bad) ? make("li", { class: "bad" }, "failed, held or not known") : null,
    all.some((bar) => unwatched(bar.from, bar.to)) ? make("li", { class: AWAY[0] }, AWAY[1]) : null,
  );
  place.append(
    make("h2", { id: "night-title" }, "The night"),
    make("p", { id: "night-words", class: "muted" }, inWords(all)),
    legend,
    frame,
    costs(),
    ...[runs()].filter(Boolean),
  );
  place.hidden = false;
  let width = 0;
  const redraw = () => {
    const wide = Math.max(WIDTH_MIN, Math.floor(frame.clientWidth));
    if (wide === width) return;
    width = wide;
    const shown = picture(all, width);
    legend.hidden = !shown.rows;
    frame.replaceChildren(shown.svg);
    if (shown.rows) point(frame, all, shown);
  };
  redraw();
  new ResizeObserver(redraw).observe(frame);
}
