// What the views share while the page is open: the server's configuration, and the records of what was asked here.

import { get } from "./api.js";

let config = null;

/** The server's configuration, fetched once. */
export function configuration() {
  config ??= get("config").catch((error) => {
    config = null; // to be tried again
    throw error;
  });
  return config;
}

const records = new Map();
let last = null;

/** Keep a record, so that its "why" can be opened even where the server stores no traces. */
export function remember(record) {
  records.set(record.id, record);
  last = record.id;
  if (records.size > 50) records.delete(records.keys().next().value);
}

export function latest() {
  return last;
}

/** The record of an answer: of this page if it was asked here, else from the server's store. */
export async function recordOf(id) {
  return records.get(id) ?? get(`traces/${encodeURIComponent(id)}`);
}

let draft = null;

/** Hand a record to the ask view, to be asked again with other settings. */
export function askAgain(record) {
  draft = record;
}

export function takeDraft() {
  const taken = draft;
  draft = null;
  return taken;
}
