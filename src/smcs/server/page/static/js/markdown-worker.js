// Markdown and TeX to HTML, away from the page: a text that takes too long here is given up without the page noticing.
// What comes out is not trusted either; the page cleans it (markdown.js).

import { Marked } from "../vendor/marked.esm.js";

const MOST_FORMULAS = 400;
const MOST_TEX = 4_000;

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


const MATHS = /\$|\\\(|\\\[|\\begin\{/;

async function make({ number, text }) {
  if (MATHS.test(text) && !katex) {
    try {
      await import("../vendor/katex.min.js"); // only where there is a formula: it is the largest file of all
      katex = self.katex;
    } catch {
      // shown as TeX, then
    }
  }
  self.postMessage({ number, begun: true }); // the page's clock runs from here
  try {
    formulas = 0;
    self.postMessage({ number, html: marked.parse(text) });
  } catch {
    self.postMessage({ number, html: null });
  }
}

let turn = Promise.resolve(); // one text after the other
self.addEventListener("message", ({ data }) => {
  turn = turn.then(() => make(data));
});
