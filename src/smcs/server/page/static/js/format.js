// Figures as people read them.

const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

export function seconds(value) {
  if (!known(value)) return "–";
  if (value >= 90) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return value >= 10 ? `${value.toFixed(1)} s` : `${value.toFixed(2)} s`;
}

export function count(value) {
  return known(value) ? Number(value).toLocaleString("en") : "–";
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function usd(value) {
  if (!known(value)) return "price unknown";
  if (value === 0) return "0 USD";
  return `${value < 0.01 ? value.toPrecision(2) : value.toFixed(4)} USD`;
}

export function fixed(value, digits = 3) {
  return known(value) ? Number(value).toFixed(digits) : "–";
}

export function percent(value, digits = 1) {
  return known(value) ? (100 * value).toFixed(digits) : "–";
}

export function signed(value, digits = 1) {
  if (!known(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : `${value > 0 ? "+" : "−"}${text}`;
}

export function when(time) {
  if (!known(time)) return "–";
  const date = new Date(time * 1000);
  const pad = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${pad(date.getHours())}:${pad(date.getMinutes())}`;
}

export function shorten(text, most) {
  const line = String(text ?? "").split(/\s+/).join(" ").trim();
  return [...line].length > most ? `${[...line].slice(0, most - 1).join("")}…` : line;
}

export function bytes(value) {
  return known(value) ? `${(value / 1e6).toFixed(0)} MB` : "–";
}
