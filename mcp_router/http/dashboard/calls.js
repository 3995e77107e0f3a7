// Recent calls, each with its attempts and why they were made.

import { read, write } from "./address.js";
import { get } from "./server.js";
import { $, count, duration, make, moment, usd, words } from "./words.js";

const PAGE = 30;
let attempts = [];
let before = null;
let turned = false;
let drawn = "";
const FILTERS = ["outcome", "model", "client"];
const opened = new Set();
for (const name of FILTERS) $("call-filters").elements[name].value = read(name, "");

export const callFilters = () => Object.fromEntries(FILTERS.map((name) => [name, $("call-filters").elements[name].value.trim()]).filter(([, value]) => value));
$("call-filters").addEventListener("submit", (event) => event.preventDefault());
$("call-filters").addEventListener("change", async () => {
  write(Object.fromEntries(FILTERS.map((name) => [name, callFilters()[name] ?? ""])));
  turned = false;
  $("more-problem").hidden = true;
  try {
    await loadCalls();
  } catch (error) {
    $("more-problem").textContent = error.message;
    $("more-problem").hidden = false;
    if (!error.kind) throw error;
  }
});

const key = (attempt) => `${attempt.call_id} ${attempt.number}`;

export async function loadCalls() {
  const page = await get("/api/dashboard/calls", { ...callFilters(), limit: PAGE });
  // Older pages stay while newer calls come in above them.
  attempts = turned ? together(page.attempts, attempts) : page.attempts;
  if (!turned) before = page.before;
  show();
}

// A call that a page would cut in two comes whole with both.
const together = (...pages) => [...new Map(pages.flat().map((attempt) => [key(attempt), attempt])).values()];

async function older() {
  $("more").disabled = true;
  $("more-problem").hidden = true;
  const last = $("call-list").lastElementChild;
  try {
    const page = await get("/api/dashboard/calls", { ...callFilters(), limit: PAGE, before });
    attempts = together(attempts, page.attempts);
    before = page.before;
    turned = true;
    show();
    // Reading goes on where the older ones begin.
    ($(last.id).nextElementSibling ?? $(last.id)).querySelector("summary").focus({ preventScroll: true });
  } catch (error) {
    $("more-problem").textContent = error.message;
    $("more-problem").hidden = false;
    if (!error.kind) throw error;
  } finally {
    $("more").disabled = false;
  }
}

function show() {
  const now = JSON.stringify([attempts, before]);
  if (now === drawn) return;
  drawn = now;
  const focused = document.activeElement.closest?.(".call")?.id;
  const calls = Map.groupBy ? Map.groupBy(attempts, (attempt) => attempt.call_id) : grouped();
  $("call-list").replaceChildren(...(calls.size ? [...calls].map(([id, of]) => call(id, of.toSorted((one, other) => one.number - other.number))) : [make("p", { class: "hint" }, Object.keys(callFilters()).length ? "No calls that these filters admit." : "No calls yet.")]));
  $("call-list").setAttribute("aria-busy", "false");
  $("more").hidden = before === null;
  if (focused) $(focused)?.querySelector("summary").focus({ preventScroll: true });
}

function grouped() {
  const calls = new Map();
  for (const attempt of attempts) calls.set(attempt.call_id, [...(calls.get(attempt.call_id) ?? []), attempt]);
  return calls;
}

function call(id, of) {
  const last = of.at(-1);
  const cost = of.some((attempt) => attempt.cost_usd === null) ? null : of.reduce((sum, attempt) => sum + attempt.cost_usd, 0);
  const seconds = of.reduce((sum, attempt) => sum + attempt.seconds, 0);
  const tries = of.length > 1 ? `${last.outcome}, ${of.length} attempts` : last.outcome;
  const item = make("details", { class: "call", id: `call-${id}`, open: opened.has(id) },
    make("summary", {},
      make("time", { class: "hint", datetime: of[0].started_at }, moment(of[0].started_at)),
      make("span", { class: "mono" }, last.model),
      make("span", { class: "hint what" }, [words(last.use_case), words(last.budget_tier), last.client === "local" ? null : last.client].filter(Boolean).join(" · ")),
      make("span", { class: "took" }, duration(seconds * 1000)),
      make("span", {}, usd(cost)),
      make("span", { class: `badge state ${last.outcome}` }, tries)),
    make("p", { class: "hint" }, `Call ${id}, by ${last.client}; complexity ${last.complexity}${last.inferred.length ? `; inferred: ${last.inferred.map(words).join(", ")}` : ""}.`),
    make("ol", { class: "attempts" }, ...of.map(attemptItem)));
  item.addEventListener("toggle", () => (item.open ? opened.add(id) : opened.delete(id)));
  return item;
}

function attemptItem(attempt) {
  const sources = { bound: (cost) => `at most ${cost}`, reported: (cost) => `${cost}, as reported`, priced: (cost) => cost, unknown: () => "cost unknown" };
  const money = sources[attempt.cost_source](usd(attempt.cost_usd));
  const tokens = attempt.input_tokens === null ? null : `${count(attempt.input_tokens)} tokens in, ${count(attempt.output_tokens)} out`;
  return make("li", {},
    make("div", { class: "line" }, make("span", { class: "mono" }, attempt.model), make("span", { class: `badge ${attempt.outcome}` }, attempt.error ? `${attempt.outcome}: ${words(attempt.error)}` : attempt.outcome), make("span", {}, duration(attempt.seconds * 1000)), make("span", {}, money), tokens && make("span", { class: "hint" }, tokens)),
    make("div", { class: "why" }, `Asked because: ${attempt.why}`),
    attempt.detail && make("div", { class: "why" }, attempt.detail));
}

$("more").addEventListener("click", () => older());
