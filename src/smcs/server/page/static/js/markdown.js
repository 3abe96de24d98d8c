// What LLMs write, shown as Markdown and mathematics. It is untrusted text. Three walls, each enough by itself:
// raw HTML is not read as HTML but shown as text; what comes out is cut down to a short list of tags and attributes,
// without any that could run or load something; and the content security policy runs no script but the page's own.

import "../vendor/purify.min.js";
import { h, put, visible } from "./dom.js";

const MOST_RENDERED = 60_000; // characters; beyond, plain text: quick, whatever is in it
const MOST_HTML = 3_000_000;
const MOST_MS = 5_000; // of one text; the page does not wait for it, it shows the plain text meanwhile

const TAGS = [
  "p", "br", "hr", "h3", "h4", "h5", "h6", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "blockquote", "a", "span",
  "table", "thead", "tbody", "tr", "th", "td",
  "math", "mi", "mn", "mo", "ms", "mtext", "mspace", "mrow", "mfrac", "msqrt", "mroot", "mstyle", "merror", "mpadded",
  "mphantom", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mlabeledtr", "menclose",
];
const ATTRIBUTES = [
  "href", "title", "start", "align", "display", "mathvariant", "mathsize", "mathcolor", "displaystyle", "scriptlevel", "stretchy",
  "fence", "separator", "accent", "accentunder", "lspace", "rspace", "width", "height", "depth", "voffset", "linethickness",
  "minsize", "maxsize", "movablelimits", "symmetric", "largeop", "columnalign", "columnspacing", "rowspacing", "rowlines",
  "columnlines", "notation", "class",
];
const CLASSES = new Set(["image", "broken", "tex", "tex-block"]);

const purify = globalThis.DOMPurify;

function clean(html) {
  const fragment = purify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const element of fragment.querySelectorAll("[class]")) {
    if (!CLASSES.has(element.getAttribute("class"))) element.removeAttribute("class");
  }
  for (const link of fragment.querySelectorAll("a")) {
    const host = link.hostname || link.protocol.replace(":", "");
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    link.title = link.href;
    link.dataset.host = host; // shown behind the link: its text is the LLM's, and may say anything
  }
  return fragment;
}

/** Show a text in an element: at once as it is, and as soon as it is made, as Markdown and mathematics. */
export async function show(element, text) {
  const written = visible(text);
  element.classList.add("answer");
  element.dir = "auto";
  const plain = h("pre", { class: "plain", tabindex: 0 }, written);
  if (written.length > MOST_RENDERED) {
    put(element, h("p", { class: "muted" }, `A text of ${written.length.toLocaleString("en")} characters, shown as it is.`), plain);
    return;
  }
  put(element, h("p", { class: "text" }, written));
  const html = await rendered(written);
  if (html === null || html.length > MOST_HTML) put(element, plain);
  else put(element, clean(html));
}

/** An element that shows the text. */
export function answer(text) {
  const element = h("div");
  show(element, text);
  return element;
}

let worker = null;
let numbers = 0;
const waiting = new Map(); // by number: the text, and what to do with its HTML

/** HTML of a text, not yet clean; null where it cannot be made, or not in time. */
function rendered(text) {
  return new Promise((resolve) => {
    waiting.set(++numbers, { text, resolve });
    if (worker) worker.postMessage({ number: numbers, text });
    else hire();
  });
}

/** Start a worker and give it all that waits. */
function hire() {
  let clock = null;
  const hired = new Worker(new URL("markdown-worker.js", import.meta.url), { type: "module" });
  worker = hired;
  hired.addEventListener("message", ({ data }) => {
    clearTimeout(clock);
    if (data.begun) clock = setTimeout(() => giveUp(data.number), MOST_MS);
    else settle(data.number, data.html);
  });
  hired.addEventListener("error", () => {
    for (const number of [...waiting.keys()]) settle(number, null); // no worker here: plain texts
    worker = null;
  });
  for (const [number, { text }] of waiting) hired.postMessage({ number, text });
  const giveUp = (number) => {
    hired.terminate();
    settle(number, null);
    worker = null;
    if (waiting.size) hire();
  };
}

function settle(number, html) {
  waiting.get(number)?.resolve(html);
  waiting.delete(number);
}
