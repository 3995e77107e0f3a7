// How figures are written, and elements made: text is always text, never markup.

export const $ = (id) => document.getElementById(id);

export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "part") element.style.setProperty("--part", value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function usd(amount) {
  if (amount === null || amount === undefined) return "unknown";
  const size = Math.abs(amount);
  if (size === 0) return "$0";
  if (size >= 0.995) return (amount < 0 ? "−$" : "$") + size.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(size))));
  const text = size.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1");
  return (amount < 0 ? "−$" : "$") + text;
}

export function count(number) {
  if (number === null || number === undefined) return "–";
  return number >= 1e5 ? new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(number) : number.toLocaleString("en");
}

export const percent = (part) => (part === null || part === undefined ? "–" : `${(100 * part).toFixed(part && part < 0.1 ? 1 : 0)} %`);

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
}

export const words = (name) => name.replaceAll("_", " ");

export function moment(iso) {
  const at = new Date(iso);
  const sameDay = at.toISOString().slice(0, 10) === new Date().toISOString().slice(0, 10);
  const day = sameDay ? "" : at.toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" }) + ", ";
  return day + at.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC" });
}

// The colour of the one who comes at this rank, in charts and tables alike.
export const swatch = (rank) => make("i", { class: `swatch s${rank}` });

// Columns: [title, cell, kind]; kind "n" is a number, "share" a bar; on a phone "lead" stands beside the name, and
// "bare" needs no title.
export function table(columns, rows, given = {}) {
  const head = make("tr", {}, ...columns.map(([title, , kind]) => make("th", { scope: "col", class: kind }, title)));
  const body = rows.map((row) =>
    make("tr", {}, ...columns.map(([title, cell, kind], at) =>
      at === 0 ? make("th", { scope: "row" }, cell(row)) : make("td", { class: kind, "data-name": title }, cell(row)))));
  return make("table", { class: "stack", ...given }, make("thead", {}, head), make("tbody", {}, ...body));
}
