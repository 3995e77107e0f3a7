// What is shown, kept in the address: a link shows the same, and Back goes back to it.

export const read = (name, fallback, allowed) => {
  const value = new URLSearchParams(location.search).get(name);
  return value !== null && (!allowed || allowed.includes(value)) ? value : fallback;
};

export function write(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === undefined) query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
}
