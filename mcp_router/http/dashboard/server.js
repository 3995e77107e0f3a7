// Speaks to the server: the token, errors, and answers that come piece by piece.

const KEPT = "mcp-llm-router token";
let askForToken = () => Promise.reject(new Error("no sign-in form"));

export const onTokenNeeded = (ask) => { askForToken = ask; };
export const hasToken = () => sessionStorage.getItem(KEPT) !== null;
export const forgetToken = () => sessionStorage.removeItem(KEPT);

export class Refused extends Error {
  constructor(kind, message) { super(message); this.kind = kind; }
}

async function send(path, given = {}) {
  for (let wrong = false; ; wrong = true) {
    const token = sessionStorage.getItem(KEPT);
    const headers = { ...given.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...given, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("unreachable", "The server does not answer. Is it still running?");
    }
    if (response.status !== 401) return response;
    sessionStorage.setItem(KEPT, await askForToken(wrong || token !== null));
  }
}

async function refusal(response) {
  try {
    const { error } = await response.json();
    return new Refused(error.kind, error.message);
  } catch {
    return new Refused("failed", `The server answered ${response.status}.`);
  }
}

export async function get(path, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined));
  const response = await send(asked.size ? `${path}?${asked}` : path);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

const asJson = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export async function post(path, body) {
  const response = await send(path, asJson(body));
  if (!response.ok) throw await refusal(response);
  return response.json();
}

export async function stream(path, body, signal, onText) {
  const response = await send(path, { ...asJson({ ...body, stream: true }), signal });
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Refused("cut", "The answer broke off.");
    pending += value;
    const blocks = pending.split("\n\n");
    pending = blocks.pop();
    for (const block of blocks) {
      const event = /^event: (\w+)\ndata: (.*)$/s.exec(block);
      if (!event) continue;
      const data = JSON.parse(event[2]);
      if (event[1] === "text") onText(data.text);
      else if (event[1] === "result") return data;
      else throw new Refused(data.error.kind, data.error.message);
    }
  }
}
