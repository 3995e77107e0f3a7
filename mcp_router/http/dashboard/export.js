// The listed calls as a CSV file, with the filters that are set.

import { callFilters } from "./calls.js";
import { get } from "./server.js";
import { $, make } from "./words.js";

const PAGE = 500;
const MOST = 10000;
const COLUMNS = ["started_at", "call_id", "client", "use_case", "budget_tier", "complexity", "model", "outcome", "error", "attempts", "seconds", "input_tokens", "output_tokens", "cost_usd"];

// A cell that a spreadsheet would run as a formula is kept as text.
function cell(value) {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

async function download() {
  const lines = [COLUMNS.join(",")];
  let before;
  do {
    const page = await get("/api/llm/calls", { ...callFilters(), limit: PAGE, before });
    lines.push(...page.calls.map((call) => COLUMNS.map((name) => cell(call[name])).join(",")));
    before = page.before;
  } while (before !== null && lines.length <= MOST);
  const url = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  make("a", { href: url, download: "mcp-llm-router-calls.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
  $("news").textContent = `${lines.length - 1} calls downloaded.`;
}

$("export").addEventListener("click", async () => {
  $("export").disabled = true;
  try {
    await download();
  } catch (error) {
    $("more-problem").textContent = error.message;
    $("more-problem").hidden = false;
  } finally {
    $("export").disabled = false;
  }
});
