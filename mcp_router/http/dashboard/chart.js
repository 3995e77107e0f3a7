// Spending by day: beside the baseline, and as it was shared out.

import { $, make, table, usd, count, swatch } from "./words.js";

const DAY = 86400;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Building the package brings uPlot in. A tree that was never built lacks it, and then the tables stand alone.
const drawable = "uPlot" in window;
if (!drawable) {
  $("uncharted").hidden = false;
  $("chart").hidden = $("legend").hidden = true;
  $("by-day").querySelector("details").open = true;
}

// One chart in its place, redrawn when its figures, its width or the colours change.
function picture(place, series, tell) {
  let days = [];
  let rows = [];
  let plot = null;
  const draw = () => {
    plot?.destroy();
    plot = null;
    place.replaceChildren();
    if (!drawable || !place.clientWidth || !days.length) return;
    const edge = days.length === 1 ? 1 : 0; // a lone day stands in the middle, between two without figures
    const times = days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000);
    if (edge) times.unshift(times[0] - DAY), times.push(times[1] + DAY);
    const padded = rows.map((row) => (edge ? [null, ...row, null] : row));
    plot = new uPlot({
      width: place.clientWidth, height: place.clientHeight, padding: [10, 22, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: { range: (_, low, high) => [low - DAY / 2, high + DAY / 2] }, y: { range: (_, low, high) => [0, (high || 0.01) * 1.08] } },
      axes: axes(),
      series: [{}, ...series(rows.length, days.length)],
      plugins: [tip((at) => (at < edge || at >= edge + days.length ? null : tell(at - edge)))],
    }, [times, ...padded], place);
  };
  new ResizeObserver(draw).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return (newDays, newRows) => { days = newDays; rows = newRows; draw(); };
}

function axes() {
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const name = (tick) => new Date(tick * 1000).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });
  return [
    { ...axis, grid: { show: false }, size: 32, space: 56, incrs: [1, 2, 7, 14, 28, 91, 182, 364].map((days) => days * DAY), values: (_, ticks) => ticks.map(name) },
    { ...axis, size: 74, space: 44, values: (_, ticks) => ticks.map((tick) => usd(tick)) },
  ];
}

function tip(tell) {
  const box = make("div", { class: "tip", hidden: true });
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { idx, left } = plot.cursor;
        const lines = idx === null || idx === undefined || left < 0 ? null : tell(idx);
        box.hidden = lines === null;
        if (box.hidden) return;
        box.replaceChildren(...lines);
        const x = plot.valToPos(plot.data[0][idx], "x");
        const space = plot.over.clientWidth - box.offsetWidth;
        box.style.left = `${Math.max(0, x + 10 <= space ? x + 10 : x - 10 - box.offsetWidth)}px`;
        box.style.top = "6px";
      },
    },
  };
}

const bars = (name, radius) => ({ stroke: colour(name), fill: colour(name), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.62, 44], radius }) });

let shown = [];
const drawSpending = picture($("chart"), (_, days) => [
  { stroke: colour("--second"), width: 2, points: { show: days < 40, size: 6, fill: colour("--second") } },
  bars("--accent", 0.15),
], (at) => {
  const day = shown[at];
  return [make("b", {}, day.day), `${usd(day.cost_usd)} spent`, make("br"), `${usd(day.baseline_usd)} at the baseline`, make("br"), `${count(day.calls)} calls`];
});

export function drawDays(days) {
  shown = days;
  $("days").replaceWith(table(
    [["Day (UTC)", (day) => day.day], ["Spent", (day) => usd(day.cost_usd), "n lead"], ["At the baseline", (day) => usd(day.baseline_usd), "n"], ["Calls", (day) => count(day.calls), "n"]],
    [...days].reverse(), { id: "days" }));
  const spent = days.reduce((sum, day) => sum + day.cost_usd, 0);
  $("chart").setAttribute("aria-label", `${days.length} days from ${days[0].day}: ${usd(spent)} spent. The figures are in the table below.`);
  drawSpending(days.map((day) => day.day), [days.map((day) => day.baseline_usd), days.map((day) => day.cost_usd)]);
}

let shared = { days: [], groups: [] };
const drawShares = picture($("shares"), (many) => Array.from({ length: many }, (_, at) => bars(`--s${many - 1 - at}`, 0)), (at) => {
  const parts = shared.groups.map((group, rank) => [group, rank, group.cost_usd[at]]).filter(([, , cost]) => cost > 0);
  const sum = parts.reduce((all, [, , cost]) => all + cost, 0);
  return [make("b", {}, `${shared.days[at]}: ${usd(sum)}`), ...parts.map(([group, rank, cost]) => make("div", {}, swatch(rank), `${group.name} ${usd(cost)}`))];
});

// Groups come dearest first and are piled up in that order: what stands on top is drawn first, the rest over it.
export function drawGroups(view, title) {
  shared = view;
  const piles = [];
  for (const group of view.groups) piles.push(group.cost_usd.map((cost, at) => cost + (piles.at(-1)?.[at] ?? 0)));
  const nothing = !piles.length || piles.at(-1).every((sum) => sum === 0);
  $("shares").hidden = nothing || !drawable;
  if ($("shares").hidden) return;
  $("shares").setAttribute("aria-label", `Spending by day and ${title}, ${view.days.length} days from ${view.days[0]}. The sums are in the table below.`);
  drawShares(view.days, piles.reverse());
}
