// What was spent and saved, on what, how budgets stand, and how providers are.

import { drawDays } from "./chart.js";
import { $, count, duration, make, percent, table, usd, words } from "./words.js";

let drawn = "";

const tile = (name, value, note, lead) =>
  make("div", { class: lead ? "tile lead" : "tile" }, make("span", { class: "name" }, name), make("span", { class: "value" }, value), make("span", { class: "note" }, note ?? ""));

function change(now, then) {
  if (!then) return "new";
  const part = now / then - 1;
  return `${part < 0 ? "−" : "+"}${percent(Math.abs(part))}`;
}

// What a budget comes to at the rate of its period so far.
function burnRate(budget) {
  const end = new Date(budget.resets_at);
  const start = new Date(end);
  if (budget.name.endsWith("monthly")) start.setUTCMonth(start.getUTCMonth() - 1);
  else start.setUTCDate(start.getUTCDate() - 1);
  const passed = (Date.now() - start) / (end - start);
  if (!(passed > 0.02 && passed <= 1) || !budget.spent_usd) return "";
  const total = budget.spent_usd / passed;
  return total > budget.limit_usd ? ` At this rate it is used up before the reset (${usd(total)}).` : ` At this rate ${usd(total)} by the reset.`;
}

export function showOverview(view) {
  const now = JSON.stringify(view);
  if (now === drawn) return;
  drawn = now;
  const totals = view.totals;
  const empty = totals.attempts === 0;
  const saved = totals.baseline_usd > 0 ? `${percent(totals.saved_usd / totals.baseline_usd)} less than ${usd(totals.baseline_usd)}` : "nothing to compare yet";
  const doubts = [totals.uncertain_usd && `${usd(totals.uncertain_usd)} of it is an upper bound`, totals.unpriced_attempts && `${count(totals.unpriced_attempts)} attempts of unknown cost`].filter(Boolean).join("; ");
  const before = view.before?.attempts ? view.before : null;
  const compared = (now, then, show) => (before ? `${change(now, then)} compared with ${show(then)} in the ${view.before_days === 1 ? "day" : `${view.before_days} days`} before` : null);
  const spent = [compared(totals.cost_usd, before?.cost_usd, usd), view.forecast_usd && `at this rate ${usd(view.forecast_usd)} by the end of the month`, doubts].filter(Boolean).join("; ");
  $("tiles").replaceChildren(
    tile("Saved", usd(totals.saved_usd), saved, true),
    tile("Spent", usd(totals.cost_usd), spent || "failed attempts included"),
    tile("Calls", count(totals.calls), empty ? "" : compared(totals.calls, before?.calls, count) ?? `${count(totals.input_tokens)} tokens in, ${count(totals.output_tokens)} out`),
    tile("Failed", percent(empty ? null : totals.failed_attempts / totals.attempts), empty ? "" : `${count(totals.failed_attempts)} of ${count(totals.attempts)} attempts; ${percent(totals.fallback_rate)} of calls fell back`),
    tile("Median answer", duration(totals.latency_ms.p50), empty ? "" : `slowest 5 percent above ${duration(totals.latency_ms.p95)}`));
  $("tiles").setAttribute("aria-busy", "false");
  $("baseline").textContent = `Savings are measured against ${view.baseline}.`;
  $("nothing").hidden = !empty;
  $("figures").hidden = empty && view.budgets.length === 0;
  $("by-day").hidden = $("where").hidden = empty;
  showBudgets(view.budgets);
  drawDays(view.days);
}

function showBudgets(budgets) {
  if (!budgets.length) {
    $("budgets").replaceChildren(make("p", { class: "hint" }, "None is set: nothing limits what is spent. Set one under [budgets] in the configuration."));
    return;
  }
  $("budgets").replaceChildren(...budgets.map((budget) => {
    const limit = budget.limit_usd;
    const used = limit > 0 ? Math.min(1, budget.spent_usd / limit) : 1;
    const held = limit > 0 ? Math.min(1 - used, budget.held_usd / limit) : 0;
    const left = Math.max(0, limit - budget.spent_usd - budget.held_usd);
    const state = left <= 0 ? "over" : used > 0.8 ? "close" : "";
    const resets = new Date(budget.resets_at).toLocaleString("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC" }) + " UTC";
    return make("div", { class: `budget ${state}` },
      make("div", { class: "line" }, make("span", {}, budget.name), make("span", {}, `${usd(budget.spent_usd)} of ${usd(limit)}`)),
      make("div", { class: "track", role: "meter", "aria-label": budget.name, "aria-valuemin": 0, "aria-valuemax": limit, "aria-valuenow": budget.spent_usd, "aria-valuetext": `${usd(budget.spent_usd)} of ${usd(limit)}` }, make("span", { part: used }), make("span", { part: held, class: "held" })),
      make("p", { class: "hint" }, state === "over" ? `Used up until ${resets}.` : `${usd(left)} left${budget.held_usd ? `, ${usd(budget.held_usd)} held` : ""}; resets ${resets}.${burnRate(budget)}`));
  }));
}

const ORDER = { degraded: 0, active: 1, inactive: 2, retired: 3 };

let listed = "";

export function showProviders(providers, spent) {
  const now = JSON.stringify([providers, spent]);
  if (now === listed) return;
  listed = now;
  const rows = [...providers].sort((one, other) => ORDER[one.status] - ORDER[other.status]);
  const of = (row) => spent[row.name];
  const columns = [
    ["Provider", (row) => row.name],
    ["Status", (row) => make("span", { class: `badge ${row.status}` }, row.status), "lead"],
    ["Models", (row) => count(row.models.length + (row.more_models ?? 0)), "n"],
    ["Attempts", (row) => (of(row) ? count(of(row).attempts) : "–"), "n"],
    ["Failed", (row) => (of(row) ? percent(of(row).failed_attempts / of(row).attempts) : "–"), "n"],
    ["Median", (row) => (of(row) ? duration(of(row).latency_ms.p50) : "–"), "n"],
    ["Slowest 5 % above", (row) => (of(row) ? duration(of(row).latency_ms.p95) : "–"), "n"],
    ["What to do", (row) => make("span", { class: "why" }, row.reason ?? ""), "bare"],
  ];
  const asked = rows.filter((row) => ORDER[row.status] < ORDER.inactive || of(row));
  const others = rows.filter((row) => !asked.includes(row));
  const open = asked.length === 0 || $("provider-list").querySelector("details")?.open;
  $("provider-list").replaceChildren(
    asked.length ? table(columns, asked) : make("p", { class: "hint" }, "No provider is available yet. Set one of the keys below."),
    make("details", { open, hidden: others.length === 0 }, make("summary", {}, `${others.length} more that are not available, and what to do`), table([columns[0], columns[1], columns.at(-1)], others)));
  $("provider-list").setAttribute("aria-busy", "false");
  const active = rows.filter((row) => row.status === "active").length;
  $("providers-count").textContent = `${active} of ${rows.length} available now.`;
}
