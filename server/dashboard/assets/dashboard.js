// What the pages do beyond htmx: draw charts, listen for what happens, copy a command, put the cursor into the search.
// No page needs it: without scripts everything works by reloading.

/** Several things that happen at once are one look at the page. */
const lookAgainMs = 400;
const daySeconds = 86_400;
/** Where an ISO time has them. */
const clock = [11, 16];
const date = [5, 10];
/** Failures are whole: 1, 2, 5, 10 … 500 000 apart. */
const wholeSteps = [0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

function drawCharts(root) {
  for (const place of root.querySelectorAll("[data-chart]")) {
    const { names, times, lines } = JSON.parse(place.dataset.chart);
    const known = place.chart;
    if (known && known.names === names.join()) {
      known.plot.setData([times, ...lines]);
      continue;
    }
    known?.plot.destroy();
    place.chart = { names: names.join(), plot: newChart(place, names, [times, ...lines]) };
  }
}

function newChart(place, names, data) {
  const style = getComputedStyle(document.body);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--chart-text"),
    grid: { stroke: colour("--chart-grid"), width: 1 },
    ticks: { show: false },
  };
  const series = names.map((label, index) => ({
    label,
    stroke: colour(`--chart-${index}`),
    width: 2,
    points: { show: false },
  }));
  const options = {
    width: place.clientWidth,
    height: 180,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(5, most * 1.1)] } },
    axes: [
      {
        ...axis,
        size: 26,
        values: (_plot, splits, _axis, _space, stepSeconds) =>
          splits.map((at) => new Date(at * 1000).toISOString().slice(...(stepSeconds < daySeconds ? clock : date))),
      },
      {
        ...axis,
        size: 44,
        incrs: wholeSteps,
      },
    ],
    series: [{}, ...series],
  };
  return new uPlot(options, data, place);
}

function redrawCharts() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    place.chart?.plot.destroy();
    place.chart = undefined;
  }
  drawCharts(document);
}

/** One connection per visible page: browsers allow few to one server, and hidden pages need none. */
function listen() {
  let source;
  let timer = 0;
  const look = () => {
    timer = 0;
    const part = document.getElementById("live");
    if (part) htmx.trigger(part, "changed");
  };
  const update = () => {
    source?.close();
    source = undefined;
    if (document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("changed", () => {
      if (timer === 0) timer = setTimeout(look, lookAgainMs);
    });
  };
  document.addEventListener("visibilitychange", () => {
    update();
    if (!document.hidden) look();
  });
  addEventListener("pagehide", () => source?.close());
  update();
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy)?.textContent ?? "";
  try {
    await navigator.clipboard.writeText(text.trim());
    button.textContent = "Copied";
  } catch {
    // Pages without TLS have no clipboard: mark the text instead.
    getSelection()?.selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Marked; copy with Ctrl+C";
  }
}

/**
 * On a phone the row of pages is wider than the screen. Not by scrollIntoView: Chromium lets the keyboard go on from
 * what was scrolled to, and the first Tab on every page would pass over the skip link, the search and the login.
 */
function showPlace() {
  const row = document.querySelector(".places");
  const here = row?.querySelector("[aria-current]");
  if (!here) return;
  const [outer, inner] = [row.getBoundingClientRect(), here.getBoundingClientRect()];
  row.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
}

document.addEventListener("DOMContentLoaded", () => {
  document.documentElement.classList.add("has-scripts");
  drawCharts(document);
  showPlace();
  if (document.getElementById("live")) listen();
  const field = document.getElementById("lookup");
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || !field) return;
    event.preventDefault();
    field.focus();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) void copy(button);
    const ticker = event.target.closest?.("[data-tick]");
    const boxes = ticker?.form.querySelectorAll(`input[type="checkbox"][name="${ticker.dataset.tick}"]`) ?? [];
    for (const box of boxes) box.checked = true;
  });
  // One sheet at a time, and Escape closes it.
  document.addEventListener(
    "toggle",
    (event) => {
      if (!event.target.open) return;
      for (const other of document.querySelectorAll("details.disclosure[open]")) {
        if (other !== event.target) other.open = false;
      }
    },
    true,
  );
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector("details.disclosure[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary")?.focus();
  });
});
/** A page that cannot look again says so: old figures must not pass for new ones. */
function setStale(isStale) {
  const warning = document.getElementById("stale");
  if (warning) warning.hidden = !isStale;
}
document.addEventListener("htmx:error", () => setStale(true));
document.addEventListener("htmx:after:request", (event) => setStale(event.detail.ctx.response.status >= 400));
document.addEventListener("htmx:after:swap", () => drawCharts(document));
addEventListener("resize", redrawCharts);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
