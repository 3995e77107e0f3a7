// Fetches the figures, keeps them fresh, and says so when it cannot.

import { loadCalls } from "./calls.js";
import "./export.js";
import { read, write } from "./address.js";
import { showGroups } from "./groups.js";
import { showOverview, showProviders } from "./overview.js";
import { forgetToken, get, hasToken, onTokenNeeded } from "./server.js";
import { loadTasks } from "./tasks.js";
import { afterSpending, showRoutes } from "./trial.js";
import { $, make } from "./words.js";

const EVERY_MS = 15000;
$("period").value = read("period", "7d", [...$("period").options].map((option) => option.value));
let loading = null;
let again = false;
let routesShown = false;

function load() {
  if (loading) { again = true; return loading; }
  loading = loadAll().finally(() => {
    loading = null;
    if (again) { again = false; load(); }
  });
  return loading;
}

async function loadAll() {
  const late = setTimeout(() => { $("busy").hidden = false; }, 150);
  try {
    // The routing table needs no ledger: it is there even when the figures are not.
    if (!routesShown) showRoutes(await get("/api/dashboard/routes"));
    routesShown = true;
    const period = $("period").value;
    const overview = await get("/api/dashboard/overview", { period });
    showOverview(overview);
    if (period === $("period").value) $("overview").classList.remove("old");
    const caller = overview.caller;
    $("who").hidden = !hasToken();
    $("who").textContent = caller.sees_all ? caller.name : `${caller.name}, own figures`;
    $("sign-out").hidden = !hasToken();
    const [{ providers }] = await Promise.all([get("/api/dashboard/providers"), loadCalls(), loadTasks(), showGroups(overview.groups, period)]);
    showProviders(providers, overview.groups.provider);
    $("alert").hidden = true;
    document.body.dataset.state = "shown";
  } catch (error) {
    const ledger = error.kind === "ledger";
    $("alert-title").textContent = ledger ? "The ledger is out of reach" : "The figures cannot be fetched";
    $("alert-text").textContent = error.message;
    $("alert").hidden = false;
    for (const waiting of document.querySelectorAll("[aria-busy=true]")) {
      waiting.setAttribute("aria-busy", "false");
      waiting.replaceChildren(make("p", { class: "hint" }, "Shown once the figures can be fetched."));
    }
    document.body.dataset.state = "failed";
    if (!error.kind) throw error;
  } finally {
    clearTimeout(late);
    $("busy").hidden = true;
  }
}

function askForToken(wrong) {
  const dialog = $("sign-in");
  $("sign-in-problem").hidden = !wrong;
  $("sign-in-problem").textContent = wrong ? "Unknown token." : "";
  $("token").value = "";
  if (!dialog.open) dialog.showModal();
  $("token").focus();
  return new Promise((come) => {
    $("sign-in-form").onsubmit = () => { come($("token").value.trim()); };
  });
}

$("sign-in").addEventListener("cancel", (event) => event.preventDefault());
$("refresh").addEventListener("click", async () => { await load(); $("news").textContent = "Figures refreshed."; });
$("retry").addEventListener("click", load);
$("period").addEventListener("change", () => { write({ period: $("period").value }); $("overview").classList.add("old"); load(); });
$("sign-out").addEventListener("click", () => { forgetToken(); location.reload(); });
onTokenNeeded(askForToken);
afterSpending(load);
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
setInterval(() => { if (!document.hidden && !$("sign-in").open) load(); }, EVERY_MS);
load();
