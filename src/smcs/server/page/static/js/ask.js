// Asking: the question, its settings, what the pool is doing, the answer, and what you think of it.

import { stream } from "./api.js";
import { bdi, empty, folded, h, problem, put } from "./dom.js";
import { feedback } from "./feedback.js";
import { count, plural, seconds, usd } from "./format.js";
import { answer } from "./markdown.js";
import { Progress } from "./progress.js";
import { Settings } from "./settings.js";
import { configuration, remember, takeDraft } from "./state.js";
import { fromCache } from "./why.js";

const view = { ready: false, history: [], replay: null, running: null, progress: null };

export async function open(place) {
  if (!view.ready) build(place);
  const config = await configuration().catch((error) => {
    put(view.notice, problem(error));
    return null;
  });
  if (config && !view.drawn) {
    view.drawn = true;
    view.settings.draw(config);
    put(view.notice, h("p", { class: "muted pool" }, `${plural(config.llms.length, "LLM")}, bank of ${plural(config.bank.questions, "question")}`));
  }
  const draft = takeDraft();
  if (draft && config) again(draft);
  if (!view.running) view.question.focus({ preventScroll: true });
}

function build(place) {
  view.ready = true;
  view.question = h("textarea", { id: "question", rows: 3, placeholder: "What would you like to know?", "aria-describedby": "keys", onkeydown: keys, oninput: () => grow(view.question) });
  view.settings = new Settings();
  view.button = h("button", { type: "submit", class: "main" }, "Ask");
  view.fresh = h("button", { type: "button", hidden: true, onclick: startAfresh }, "New conversation");
  view.notice = h("div", {});
  view.again = h("p", { class: "box again", hidden: true });
  view.turns = h("div", { class: "turns" });
  view.label = h("label", { for: "question", class: "unseen" }, "Question");
  view.form = h(
    "form",
    { class: "ask-form", onsubmit: submit },
    view.again,
    view.label,
    view.question,
    h("p", { class: "actions" }, view.button, view.fresh, h("span", { id: "keys", class: "muted hint" }, h("kbd", {}, "Ctrl"), "+", h("kbd", {}, "Enter"), " asks")),
    (view.folded = h("details", { class: "settings-fold" }, h("summary", {}, "Strategy, settings and limits"), view.settings.element)),
  );
  put(place, h("h1", { class: "unseen" }, "Ask the pool"), view.turns, view.form, view.notice);
}

function keys(event) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    view.form.requestSubmit();
  }
}

function grow(area) {
  area.rows = Math.min(14, Math.max(3, area.value.split("\n").length));
}

function startAfresh() {
  view.history = [];
  view.replay = null;
  view.again.hidden = true;
  view.fresh.hidden = true;
  view.label.textContent = "Question";
  put(view.turns);
  view.question.focus();
}

/** Take up an earlier question, to be asked with other settings. */
function again(record) {
  startAfresh();
  view.replay = record.id;
  view.question.value = record.question ?? "";
  grow(view.question);
  view.settings.set(record);
  view.folded.open = true;
  view.again.hidden = false;
  view.fresh.hidden = false;
  put(view.again, "The question of trace ", h("a", { href: `#/why/${encodeURIComponent(record.id)}` }, record.id), ": change settings and ask again. Calls that stay the same are taken from the cache where it has them.");
}

async function submit(event) {
  event.preventDefault();
  const text = view.question.value.trim();
  if (view.running || !text) {
    view.question.focus();
    return;
  }
  const asked = { question: text, history: view.history, ...view.settings.values() };
  const replay = view.replay;
  const controller = new AbortController();
  view.running = controller;
  const progress = new Progress(() => controller.abort());
  const turn = h("article", { class: "turn" }, h("h2", { class: "asked" }, bdi(text, { class: "text" })));
  const result = h("div", { class: "result" });
  turn.append(progress.element, result);
  view.turns.append(turn);
  view.question.value = "";
  grow(view.question);
  busy(true);
  progress.cancel.focus({ preventScroll: true });
  let ended = null;
  try {
    await stream(replay ? `traces/${encodeURIComponent(replay)}/replay` : "ask", asked, (message) => {
      if (message.event === "answer" || message.event === "error") ended = message;
      else progress.see(message);
    }, controller.signal);
    if (!ended) throw new Error("The server ended before the answer was there.");
    finish(ended, asked, progress, result);
  } catch (error) {
    const cancelled = error.name === "AbortError";
    keepQuestion(text);
    progress.stop(cancelled ? "Cancelled." : "Failed.");
    put(result, cancelled ? empty("Cancelled. The calls that were under way have been stopped.") : problem(error));
  } finally {
    view.running = null;
    busy(false);
  }
}

function finish(ended, asked, progress, result) {
  const record = ended.record ? { ...ended.record, timeline: ended.record.timeline ?? progress.events } : null;
  if (record) remember(record);
  if (ended.event === "error") {
    progress.stop("No answer.");
    keepQuestion(asked.question);
    put(result, problem(ended), record && whyLink(record));
    return;
  }
  progress.stop(`Answered in ${seconds(record.seconds)}.`);
  progress.element.replaceWith(folded(["How the pool worked: ", summary(record)], () => progress.element));
  put(result, answer(record.answer), notes(record), record.replay && h("p", { class: "muted" }, `${fromCache(record.replay)} came from the cache.`), h("p", { class: "actions" }, whyLink(record), copyButton(record.answer)), feedback(record));
  view.history = [...asked.history, { role: "user", content: asked.question }, { role: "assistant", content: record.answer }];
  view.replay = null;
  view.again.hidden = true;
  view.fresh.hidden = false;
  view.label.textContent = "Follow-up question";
  view.question.placeholder = "Ask a follow-up, or begin a new conversation";
  grow(view.question);
}

function summary(record) {
  const usage = record.usage;
  return `${plural(usage.calls, "call")}, ${count(usage.prompt_tokens + usage.completion_tokens)} tokens, ${usd(usage.cost_usd)}, ${seconds(record.seconds)}`;
}

function notes(record) {
  const told = [...(record.trace.cuts ?? []), ...(record.trace.notes ?? [])];
  return told.length > 0 && h("ul", { class: "notes" }, told.map((note) => h("li", {}, bdi(note))));
}

function whyLink(record) {
  return h("a", { class: "button", href: `#/why/${encodeURIComponent(record.id)}` }, "Why this answer?");
}

function copyButton(text) {
  const button = h("button", { type: "button", class: "quiet" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

function busy(is) {
  view.button.disabled = is;
  view.form.toggleAttribute("data-busy", is);
  if (!is && (document.activeElement === document.body || document.activeElement?.closest(".progress"))) view.question.focus({ preventScroll: true });
}

/** A question without an answer stands in the box again, unless something else has been written there. */
function keepQuestion(text) {
  if (!view.question.value) view.question.value = text;
  grow(view.question);
}
