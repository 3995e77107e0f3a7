// Calls that run on in the background, and those that ended lately.

import { get } from "./server.js";
import { $, count, make, moment, table, words } from "./words.js";

const LOOKS = { completed: "answered", failed: "failed", cancelled: "cancelled" };
const COLUMNS = [
  ["Began", (task) => make("time", { datetime: task.created_at }, moment(task.created_at)), "lead"],
  ["Call", (task) => make("span", { class: "mono" }, task.call_id)],
  ["Client", (task) => task.client],
  ["State", (task) => make("span", { class: `badge state ${LOOKS[task.status] ?? ""}` }, words(task.status))],
  ["So far", (task) => make("span", { class: "why" }, task.message), "bare"],
];
let drawn = "";

export async function loadTasks() {
  const { tasks, running } = await get("/api/dashboard/tasks");
  const now = JSON.stringify(tasks);
  if (now === drawn) return;
  drawn = now;
  $("background").hidden = tasks.length === 0;
  $("background-count").textContent = `${count(running)} of ${count(tasks.length)} running. Kept for 24 hours, vendor batches for 48.`;
  $("task-list").replaceChildren(table(COLUMNS, tasks));
}
