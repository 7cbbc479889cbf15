// Clips in the grid. A video element exists only while its clip plays, or while it stands in for a missing still:
// hundreds of them at once would cost memory and decoders. Whatever leaves the window is let go.

const HOVER_MS = 90; // a pointer that only passes by starts nothing
const near = new Map(); // thumb -> job, of clips without a still that are near the window

const leaving = new IntersectionObserver((entries) => {
  for (const entry of entries) if (!entry.isIntersecting) stop(entry.target);
});

const arriving = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) peek(entry.target);
      else drop(entry.target);
    }
  },
  { rootMargin: "100px" },
);

const videoOf = (thumb) => thumb.querySelector("video");

function video(thumb, job, preload) {
  const made = make("video", {
    src: job.clip,
    preload,
    playsinline: true,
    tabindex: "-1",
    "aria-hidden": "true",
  });
  made.muted = true;
  made.loop = true;
  made.addEventListener("playing", () => thumb.classList.add("playing"));
  made.addEventListener("error", () => thumb.classList.add("broken"));
  thumb.prepend(made);
  return made;
}

function play(thumb, pinned = false) {
  thumb.dataset.wanted = "";
  if (pinned) thumb.dataset.pinned = "";
  thumb.setAttribute("aria-pressed", "true");
  const shown = videoOf(thumb) ?? video(thumb, near.get(thumb) ?? jobs[thumb.dataset.job], "auto");
  leaving.observe(thumb);
  shown.play().catch(() => {}); // stopped before it began
}

function stop(thumb) {
  delete thumb.dataset.wanted;
  delete thumb.dataset.pinned;
  thumb.setAttribute("aria-pressed", "false");
  thumb.classList.remove("playing");
  leaving.unobserve(thumb);
  if (near.has(thumb)) {
    videoOf(thumb)?.pause();
    return;
  }
  drop(thumb);
}

function drop(thumb) {
  const shown = videoOf(thumb);
  near.delete(thumb);
  if (!shown || "wanted" in thumb.dataset) return;
  shown.pause();
  shown.removeAttribute("src");
  shown.load(); // lets go of the file
  shown.remove();
}

/** Shows a clip's own first picture where it has no still. */
function peek(thumb) {
  if (near.has(thumb)) return;
  const job = jobs[thumb.dataset.job];
  near.set(thumb, job);
  if (!videoOf(thumb)) video(thumb, { clip: `${job.clip}#t=0.001` }, "metadata");
}

/** The clip of a job, as a button: plays while it is pointed at or has the keyboard's focus; a click toggles. */
function thumbOf(job, index) {
  const still = job.still && make("img", { src: job.still, alt: "", loading: "lazy", decoding: "async" });
  const thumb = make(
    "button",
    {
      type: "button",
      class: "thumb",
      "data-job": index,
      "aria-label": `Play ${named(job)}`,
      "aria-pressed": "false",
    },
    still,
    make("span", { class: "sign", "aria-hidden": "true" }),
  );
  let timer;
  let byPointer = false;
  const begin = () => "wanted" in thumb.dataset || play(thumb);
  const end = () => {
    clearTimeout(timer);
    if (!("pinned" in thumb.dataset)) stop(thumb);
  };
  thumb.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse" && !calm.matches) timer = setTimeout(begin, HOVER_MS);
  });
  thumb.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse") end();
  });
  thumb.addEventListener("pointerdown", () => {
    byPointer = true;
  });
  thumb.addEventListener("focus", () => {
    if (!byPointer && !calm.matches && thumb.matches(":focus-visible")) begin();
    byPointer = false;
  });
  thumb.addEventListener("blur", end);
  thumb.addEventListener("click", () => {
    clearTimeout(timer);
    byPointer = false;
    if ("wanted" in thumb.dataset) stop(thumb);
    else play(thumb, true);
  });
  if (!job.still) arriving.observe(thumb);
  return thumb;
}
