// The routing table, and a form that shows a plan before anything is spent.

import { post, stream } from "./server.js";
import { $, count, make, usd, words } from "./words.js";

const form = $("trial");
let hangUp = null;
let onSpent = () => {};

export const afterSpending = (callback) => { onSpent = callback; };

export function showRoutes(view) {
  const options = (names) => names.map((name) => make("option", { value: name }, words(name)));
  $("route-of").replaceChildren(...options(view.use_cases));
  form.elements.use_case.append(...options(view.use_cases));
  form.elements.budget_tier.append(...options(view.tiers));
  form.elements.complexity.append(...options(view.complexities));
  $("models").replaceChildren(...view.models.map((name) => make("option", { value: name })));
  const ceilings = Object.fromEntries(view.budget_tiers.map((tier) => [tier.name, tier.ceiling_usd]));
  const show = () => showRoute(view.routes.find((route) => route.use_case === $("route-of").value), ceilings);
  $("route-of").addEventListener("change", show);
  show();
}

function showRoute(route, ceilings) {
  $("route-about").textContent = route.about;
  $("route").setAttribute("aria-busy", "false");
  $("route").replaceChildren(...Object.entries(route.tiers).map(([tier, entries]) =>
    make("div", { class: "tier" },
      make("h3", {}, words(tier), make("span", {}, `≤ ${usd(ceilings[tier])}`)),
      make("ol", {}, ...entries.map((entry) => make("li", {}, make("span", { class: "mono" }, entry.model), entry.thinking !== "off" && make("span", { class: "hint" }, ` thinking ${entry.thinking}`), entry.note && make("div", { class: "why" }, entry.note)))))));
}

function asked() {
  const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value.trim() !== ""));
  return given;
}

const say = (...children) => $("outcome").replaceChildren(...children);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const task = asked();
  if (!task.prompt) { form.elements.prompt.focus(); return; }
  hangUp?.abort();
  say(make("div", { class: "waiting" }), make("div", { class: "waiting" }));
  try {
    showPlan(await post("/api/llm/explain", task), task);
  } catch (error) {
    say(make("p", { class: "problem" }, error.message));
  }
});

function showPlan(plan, task) {
  const chosen = ["use_case", "complexity", "budget_tier"].map((what) => {
    const { value, inferred, confidence } = plan[what];
    const sure = confidence === undefined ? "" : `, ${Math.round(confidence * 100)} % sure`;
    return chip(what, words(value), inferred ? ` inferred${sure}` : "");
  });
  const first = plan.candidates[0];
  const run = first && make("button", { type: "button", class: "main", onclick: () => runIt(task), onkeydown: unlessHeld }, first.estimated_usd === 0 ? "Run it for free" : `Run it for about ${usd(first.estimated_usd)}`);
  say(
    make("h3", {}, "The plan"),
    make("ul", { class: "chips" }, ...chosen, chip("ceiling", usd(plan.ceiling_usd))),
    first ? make("ol", { class: "plan" }, ...plan.candidates.map(candidate)) : make("p", { class: "problem" }, "No model is available for this now."),
    run && make("div", { class: "actions" }, run, make("span", { class: "hint" }, `At most ${usd(plan.ceiling_usd)}, all attempts together.`)),
    plan.rejected.length > 0 && make("details", { open: !first }, make("summary", {}, plan.rejected.length === 1 ? "Why not the other one" : `Why not the other ${plan.rejected.length}`), make("ul", { class: "plan" }, ...plan.rejected.map((one) => make("li", {}, make("span", { class: "mono" }, one.model), make("div", { class: "why" }, one.reason))))) || "");
  run?.focus({ preventScroll: true });
}

// A key that was held down too long on "Show the plan" must not spend anything.
const unlessHeld = (event) => { if (event.repeat) event.preventDefault(); };

const chip = (name, value, more) => make("li", {}, make("span", {}, `${words(name)} `), value, more && make("span", {}, more));

const candidate = (one) => make("li", {},
  make("div", { class: "line" }, make("span", { class: "mono" }, one.model), make("span", {}, `about ${usd(one.estimated_usd)}`)),
  make("div", { class: "why" }, `${one.why}; at most ${usd(one.at_most_usd)} for up to ${count(one.max_output_tokens)} tokens`));

async function runIt(task) {
  hangUp = new AbortController();
  const answer = make("div", { class: "answer" });
  const stop = make("button", { type: "button", onclick: () => hangUp.abort() }, "Stop");
  const state = make("p", { class: "hint" }, "Waiting for the model…");
  const title = make("h3", { tabindex: -1 }, "The answer");
  say(title, answer, make("div", { class: "actions" }, stop, state));
  title.focus({ preventScroll: true });
  try {
    const result = await stream("/api/llm/generate", task, hangUp.signal, (text) => answer.append(text));
    answer.textContent = result.text ?? result.preview ?? "";
    state.textContent = `${result.model} · ${usd(result.cost_usd)} spent · ${usd(result.saved_usd)} saved${result.fallbacks ? ` · after ${result.fallbacks} failed attempts` : ""} · call ${result.call_id}`;
    if (result.warning) answer.after(make("p", { class: "problem" }, result.warning));
  } catch (error) {
    state.textContent = error.name === "AbortError" ? "Stopped. What it cost so far is in the ledger." : "";
    if (error.name !== "AbortError") answer.replaceWith(make("p", { class: "problem" }, error.message));
  }
  stop.remove();
  onSpent();
}
