// What LLMs write, shown as Markdown and mathematics. It is untrusted text. Three walls, each enough by itself:
// raw HTML is not read as HTML but shown as text; what comes out is cut down to a short list of tags and attributes,
// without any that could run or load something; and the content security policy runs no script but the page's own.

import { Marked } from "../vendor/marked.esm.js";
import "../vendor/purify.min.js";
import { h, put, visible } from "./dom.js";

const MOST_RENDERED = 60_000; // characters; beyond, plain text: quick, whatever is in it
const MOST_FORMULAS = 400;
const MOST_TEX = 4_000;

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

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** A link that leads somewhere on the web, or null: no script, no file, no place in this page. */
function webAddress(href) {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null; // relative, or nonsense
  }
}

let katex = null;
let formulas = 0;

function formula(source, display) {
  formulas += 1;
  if (!katex || formulas > MOST_FORMULAS || source.length > MOST_TEX) return `<code>${escape(source)}</code>`;
  try {
    const written = katex.renderToString(source, {
      output: "mathml", displayMode: display, throwOnError: true, trust: false, strict: "ignore", maxSize: 20, maxExpand: 200,
    });
    // KaTeX keeps the source beside the formula, and draws some boxes by style attributes, which the policy forbids.
    const math = written.replace(/<annotation[^]*?<\/annotation>/g, "").replace(/ style="[^"]*"/g, "");
    return display ? `<p class="tex-block">${math}</p>` : `<span class="tex">${math}</span>`;
  } catch {
    return `<code class="broken" title="not readable as a formula">${escape(source)}</code>`;
  }
}

const inlineMath = {
  name: "inlineMath",
  level: "inline",
  start: (text) => text.search(/\$|\\[([]/),
  tokenizer(text) {
    const found =
      /^\$\$((?:[^$\\]|\\[^])+?)\$\$/.exec(text) ??
      /^\\\[((?:(?!\\\])[^])+?)\\\]/.exec(text) ??
      /^\\\(((?:(?!\\\))[^])+?)\\\)/.exec(text) ??
      // A dollar is a price more often than not: no space inside, no figure behind.
      /^\$(?=[^\s$])((?:[^$\\\n]|\\[^\n])*?[^\s\\$]|[^\s\\$])\$(?!\d)/.exec(text);
    if (!found) return undefined;
    const display = found[0].startsWith("$$") || found[0].startsWith("\\[");
    return { type: "inlineMath", raw: found[0], source: found[1].trim(), display };
  },
  renderer: (token) => formula(token.source, token.display).replace(/^<p class="tex-block">([^]*)<\/p>$/, '<span class="tex-block">$1</span>'),
};

const blockMath = {
  name: "blockMath",
  level: "block",
  start: (text) => text.search(/^ {0,3}(?:\$\$|\\\[|\\begin\{)/m),
  tokenizer(text) {
    const found =
      /^ {0,3}\$\$((?:[^$\\]|\\[^])+?)\$\$[ \t]*(?:\n|$)/.exec(text) ??
      /^ {0,3}\\\[((?:(?!\\\])[^])+?)\\\][ \t]*(?:\n|$)/.exec(text) ??
      /^ {0,3}(\\begin\{(align\*?|equation\*?|gather\*?|aligned|cases|pmatrix|bmatrix)\}[^]+?\\end\{\2\})[ \t]*(?:\n|$)/.exec(text);
    if (!found) return undefined;
    return { type: "blockMath", raw: found[0], source: found[1].trim() };
  },
  renderer: (token) => formula(token.source, true),
};

const marked = new Marked({
  gfm: true,
  breaks: true, // LLMs mean their line ends
  extensions: [inlineMath, blockMath],
  tokenizer: {
    html: () => undefined, // HTML is text like any other
    tag: () => undefined,
  },
  renderer: {
    html: (token) => escape(token.text),
    code: (token) => `<pre><code>${escape(token.text)}</code></pre>`,
    heading(token) {
      const level = Math.min(6, token.depth + 2); // below the page's own headings
      return `<h${level}>${this.parser.parseInline(token.tokens)}</h${level}>`;
    },
    image: (token) => `<span class="image">image: ${escape(token.text || "without a title")}</span>`,
    link(token) {
      const inner = this.parser.parseInline(token.tokens);
      const address = webAddress(token.href);
      return address ? `<a href="${escape(address)}">${inner}</a>` : `<span>${inner}</span>`;
    },
    checkbox: (token) => (token.checked ? "☑ " : "☐ "),
  },
});

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

const MATHS = /\$|\\\(|\\\[|\\begin\{/;

/** Show a text in an element. Formulas come once the library for them is loaded. */
export async function show(element, text) {
  const written = visible(text);
  element.classList.add("answer");
  element.dir = "auto";
  if (written.length > MOST_RENDERED) {
    put(
      element,
      h("p", { class: "muted" }, `A text of ${written.length.toLocaleString("en")} characters, shown as it is.`),
      h("pre", { class: "plain", tabindex: 0 }, written),
    );
    return;
  }
  if (MATHS.test(written) && !katex) {
    try {
      await import("../vendor/katex.min.js");
      katex = globalThis.katex;
    } catch {
      // shown as TeX, then
    }
  }
  try {
    formulas = 0;
    put(element, clean(marked.parse(written)));
  } catch {
    put(element, h("pre", { class: "plain" }, written)); // nothing that an LLM writes may break the page
  }
}

/** An element that shows the text. */
export function answer(text) {
  const element = h("div");
  show(element, text);
  return element;
}
