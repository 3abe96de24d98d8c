// The views and the way between them: the address behind the # names the view and what it shows.

import { h, problem, put } from "./dom.js";
import * as ask from "./ask.js";
import * as bank from "./bank.js";
import * as runs from "./runs.js";
import * as traces from "./traces.js";
import * as why from "./why.js";

const VIEWS = { ask, why, bank, runs, traces };
const TITLES = { ask: "Ask", why: "Why", bank: "Bank", runs: "Runs", traces: "Traces" };
const places = new Map();
let showing = 0;

async function go() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  if (location.hash && !location.hash.startsWith("#/")) return; // the skip link
  const chosen = Object.hasOwn(VIEWS, name) ? name : "ask";
  const turn = ++showing;
  const main = document.getElementById("main");
  if (!places.has(chosen)) {
    const place = h("div", { class: `view ${chosen}` });
    places.set(chosen, place);
    main.append(place);
  }
  for (const [other, place] of places) place.hidden = other !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[chosen]} · smcs`;
  const place = places.get(chosen);
  let argument = "";
  try {
    argument = decodeURIComponent(rest.join("/"));
  } catch {
    // a broken address names nothing
  }
  place.setAttribute("aria-busy", "true");
  try {
    await VIEWS[chosen].open(place, argument, () => turn === showing);
  } catch (error) {
    if (turn === showing && error.name !== "AbortError") put(place, h("h1", {}, TITLES[chosen]), problem(error));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

let before = null;
window.addEventListener("hashchange", async () => {
  await go();
  const view = location.hash.split("/")[1];
  if (view !== before) {
    window.scrollTo(0, 0);
    if (view !== "ask") document.getElementById("main").focus({ preventScroll: true });
  }
  before = view;
});
before = location.hash.split("/")[1];
go();
