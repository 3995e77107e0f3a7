// Where the money went: shared out by provider, model, use case, tier or client.

import { drawGroups } from "./chart.js";
import { read, write } from "./address.js";
import { get } from "./server.js";
import { $, count, duration, make, swatch, table, usd, words } from "./words.js";

const TABS = ["provider", "model", "use_case", "budget_tier", "client"];
const OTHERS = 6;
let chosen = read("by", "provider", TABS);
let groups = {};
const ranks = {}; // who cost most, by what it is shared out by

const present = () => TABS.filter((name) => name in groups);
const shownAs = (name) => (chosen === "model" || chosen === "client" ? name : words(name));

export async function showGroups(found, period) {
  groups = found;
  if (!present().includes(chosen)) chosen = present()[0];
  showTabs(period);
  await showChosen(period);
}

function showTabs(period) {
  $("tabs").replaceChildren(...present().map((name) => make("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "groups", "aria-selected": String(name === chosen), tabindex: name === chosen ? 0 : -1, onclick: () => choose(name, period) }, words(name))));
}

async function choose(name, period) {
  chosen = name;
  write({ by: name });
  showTabs(period);
  $(`tab-${name}`).focus();
  await showChosen(period);
}

$("tabs").addEventListener("keydown", (event) => {
  const tabs = present();
  const at = tabs.indexOf(chosen);
  const to = { ArrowRight: (at + 1) % tabs.length, ArrowLeft: (at + tabs.length - 1) % tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  $(`tab-${tabs[to]}`).click();
});

async function showChosen(period) {
  const name = chosen;
  const rows = Object.entries(groups[name]).sort(([, one], [, other]) => other.cost_usd - one.cost_usd || other.calls - one.calls);
  showTable(rows);
  const daily = await get("/api/dashboard/daily", { period, group_by: name });
  ranks[name] = daily.groups.map((group) => group.name);
  if (name !== chosen) return;
  showTable(rows);
  const named = daily.groups.map((group) => ({ ...group, name: shownAs(group.name) }));
  if (daily.others) named.push({ name: "others", cost_usd: daily.others });
  if (!changed("shares", [name, daily.days, named])) return;
  drawGroups({ days: daily.days, groups: named }, words(name));
}

const drawn = {};

// What has not changed is left alone: a redrawn table loses the reader's place.
function changed(what, figures) {
  const now = JSON.stringify(figures);
  const differs = drawn[what] !== now;
  drawn[what] = now;
  return differs;
}

function showTable(rows) {
  const ranked = ranks[chosen] ?? [];
  if (!changed("table", [chosen, rows, ranked])) return;
  $("groups").setAttribute("aria-labelledby", `tab-${chosen}`);
  const most = Math.max(...rows.map(([, totals]) => totals.cost_usd), 1e-12);
  const rank = (name) => (ranked.includes(name) ? ranked.indexOf(name) : OTHERS);
  $("groups-table").replaceChildren(rows.length ? table([
    [words(chosen)[0].toUpperCase() + words(chosen).slice(1), ([name]) => make("span", {}, swatch(rank(name)), shownAs(name))],
    ["Spent", ([, totals]) => usd(totals.cost_usd), "n lead"],
    ["", ([name, totals]) => make("span", { class: `s${rank(name)}`, part: totals.cost_usd / most }), "share"],
    ["Saved", ([, totals]) => usd(totals.saved_usd), "n"],
    ["Attempts", ([, totals]) => count(totals.attempts), "n"],
    ["Failed", ([, totals]) => count(totals.failed_attempts), "n"],
    ["Median", ([, totals]) => duration(totals.latency_ms.p50), "n"],
    ["Slowest 5 % above", ([, totals]) => duration(totals.latency_ms.p95), "n"],
  ], rows) : make("p", { class: "hint" }, "Nothing in this period."));
}
