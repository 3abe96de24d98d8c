// Building the document from values. Text always goes in as text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Keys of `attributes` that begin with "on" are listeners; false and null leave an attribute out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A text that somebody else wrote, in a line of ours: its writing direction stays its own. */
export function bdi(text, attributes = {}) {
  return h("bdi", attributes, visible(text));
}

// These turn the direction of what follows by force. In answers they only ever hide what a text says.
const FORCED = /[\u202a-\u202e\u2066-\u2069]/g;

/** The text with characters that force a direction, and other controls, shown as what they are. */
export function visible(text) {
  return String(text ?? "")
    .replace(FORCED, (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase()}]`)
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, "\ufffd");
}

/** A section with a heading. */
export function section(title, ...children) {
  const id = `s-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { "aria-labelledby": id, class: "part" }, h("h2", { id }, title), ...children);
}

/** A table of cells; the first column is the rows' heading. Cells may be nodes. `right` names columns of figures. */
export function table(columns, rows, { caption = null, right = [], className = "" } = {}) {
  const align = (i) => (right.includes(i) ? "num" : null);
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? columns.join(", ") },
    h(
      "table",
      { class: className },
      caption && h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((name, i) => h("th", { scope: "col", class: align(i) }, name)))),
      h(
        "tbody",
        {},
        rows.map((cells) =>
          h("tr", {}, cells.map((cell, i) => h(i === 0 ? "th" : "td", { scope: i === 0 ? "row" : null, class: align(i) }, cell))),
        ),
      ),
    ),
  );
}

/** A word with a meaning: done, failed, winner, ... */
export function pill(word, kind = word) {
  return h("span", { class: `pill ${kind}` }, word);
}

/** A part that is folded away. `build` is called when it is first opened. */
export function folded(summary, build, { open = false } = {}) {
  const body = h("div", { class: "folded" });
  let built = false;
  const make = () => {
    if (built) return;
    built = true;
    put(body, build());
  };
  const details = h("details", { open, ontoggle: () => details.open && make() }, h("summary", {}, summary), body);
  if (open) make();
  return details;
}

/** A message about what went wrong. */
export function problem(error) {
  return h("p", { class: "box failed", role: "alert" }, bdi(error?.message ?? String(error)));
}

export function empty(...children) {
  return h("p", { class: "box muted" }, ...children);
}
