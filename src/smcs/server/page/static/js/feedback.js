// Whether an answer was right, and what would have been: stored beside its trace, and one day a question of the bank.

import { post } from "./api.js";
import { h, put } from "./dom.js";

let made = 0;

export function feedback(record) {
  const id = `corrected-${++made}`;
  const told = h("span", { role: "status", class: "muted" });
  const input = h("textarea", { id, rows: 2 });
  const form = h(
    "form",
    { class: "correct", hidden: true, onsubmit: (event) => { event.preventDefault(); if (input.value.trim()) send("corrected", input.value.trim()); else input.focus(); } },
    h("label", { for: id }, "What is the right answer?"),
    input,
    h("button", { type: "submit" }, "Send"),
  );
  const buttons = [
    h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => send("right") }, "Right"),
    h("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: () => send("wrong") }, "Wrong"),
    h("button", { type: "button", class: "quiet", "aria-expanded": "false", onclick: () => reveal() }, "Correct it …"),
  ];

  function reveal() {
    form.hidden = !form.hidden;
    buttons[2].setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) input.focus();
  }

  async function send(verdict, corrected = null) {
    told.textContent = "";
    try {
      await post("feedback", { trace: record.id, verdict, answer: corrected });
      for (const [i, word] of ["right", "wrong"].entries()) buttons[i].setAttribute("aria-pressed", String(word === verdict));
      form.hidden = true;
      buttons[2].setAttribute("aria-expanded", "false");
      told.textContent = verdict === "corrected" ? "Thank you; the correction is stored." : `Stored as ${verdict}.`;
    } catch (error) {
      put(told, error.message);
    }
  }

  return h("div", { class: "feedback" }, h("p", { class: "actions" }, h("span", {}, "Is it right?"), buttons, told), form);
}
