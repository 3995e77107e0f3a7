// Spending by day: bars for what was spent, a line for the same at the baseline.

import { $, make, table, usd, count } from "./words.js";

let drawn = null;
let shown = [];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function drawDays(days) {
  shown = days;
  $("days").replaceWith(table(
    [["Day (UTC)", (day) => day.day], ["Calls", (day) => count(day.calls), "n"], ["Spent", (day) => usd(day.cost_usd), "n"], ["At the baseline", (day) => usd(day.baseline_usd), "n"]],
    [...days].reverse(), { id: "days" }));
  const spent = days.reduce((sum, day) => sum + day.cost_usd, 0);
  $("chart").setAttribute("aria-label", `${days.length} days from ${days[0].day}: ${usd(spent)} spent. The figures are in the table below.`);
  draw();
}

function draw() {
  const place = $("chart");
  drawn?.destroy();
  place.replaceChildren();
  if (!place.clientWidth || !shown.length) return;
  const data = [
    shown.map((day) => Date.parse(`${day.day}T00:00:00Z`) / 1000),
    shown.map((day) => day.baseline_usd),
    shown.map((day) => day.cost_usd),
  ];
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const few = shown.length < 3 ? 86400 : 43200;
  drawn = new uPlot({
    width: place.clientWidth,
    height: place.clientHeight,
    padding: [10, 8, 0, 0],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: { x: { range: (_, low, high) => [low - few, high + few] }, y: { range: (_, low, high) => [0, (high || 0.01) * 1.08] } },
    axes: [
      { ...axis, grid: { show: false }, size: 32, space: 56, incrs: [1, 2, 7, 14, 28, 91].map((days) => days * 86400), values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" })) },
      { ...axis, size: 74, space: 44, values: (_, ticks) => ticks.map((tick) => usd(tick)) },
    ],
    series: [
      {},
      { stroke: colour("--second"), width: 2, points: { show: shown.length < 40, size: 6, fill: colour("--second") } },
      { stroke: colour("--accent"), fill: colour("--accent"), width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.62, 44], radius: 0.15 }) },
    ],
    plugins: [tip()],
  }, data, place);
}

function tip() {
  const box = make("div", { class: "tip", hidden: true });
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { idx, left } = plot.cursor;
        box.hidden = idx === null || idx === undefined || left < 0;
        if (box.hidden) return;
        const day = shown[idx];
        box.replaceChildren(make("b", {}, day.day), `${usd(day.cost_usd)} spent`, make("br"), `${usd(day.baseline_usd)} at the baseline`, make("br"), `${count(day.calls)} calls`);
        const x = plot.valToPos(plot.data[0][idx], "x");
        box.style.left = `${Math.min(Math.max(0, x + 10), plot.over.clientWidth - box.offsetWidth)}px`;
        box.style.top = "6px";
      },
    },
  };
}

new ResizeObserver(() => draw()).observe($("chart"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
