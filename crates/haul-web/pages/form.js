// The form: where the file is, and how it is to be called.

import { post } from "/program.js";
import { join, nameOf, remedy, size, split } from "/words.js";

const $ = (id) => document.getElementById(id);
const LAST = "haul-wanted";
const WAIT = 500;

// A name that the user typed is never overwritten by one that is taken from the URL.
let typed = false;
let asking = 0;
let timer = 0;

export function setUp() {
  for (const id of ["save-as", "extension"]) {
    $(id).addEventListener("input", () => {
      typed = $("save-as").value !== "";
    });
  }
  $("url").addEventListener("input", () => {
    fill(nameOf($("url").value));
    $("answer").textContent = "";
    clearTimeout(timer);
    asking += 1;
    if ($("url").checkValidity()) timer = setTimeout(probe, WAIT, asking);
  });
  $("wanted").addEventListener("submit", submit);
}

// A program that was started again knows nothing of what it did; one press goes on with it.
export function offer(open) {
  const last = sessionStorage.getItem(LAST);
  if (!last || $("url").value) return;
  const { url, save_as: name } = JSON.parse(last);
  if (!open.has(name)) return;
  $("url").value = url;
  [$("save-as").value, $("extension").value] = split(name);
  $("answer").textContent = `${name} was under way. Submit to go on where it was.`;
}

function fill(name) {
  if (!typed) [$("save-as").value, $("extension").value] = split(name);
}

async function probe(turn) {
  $("answer").textContent = "Asking the server…";
  let text;
  try {
    const { name, size: bytes, ranges } = await post("/api/probe", { url: $("url").value });
    if (turn !== asking) return;
    fill(name);
    const known = bytes === null ? "size unknown" : size(bytes);
    text = ranges
      ? `${known}. Other machines can help.`
      : `${known}. The server gives it in one piece only, so nobody can help.`;
  } catch (failure) {
    text = `${failure.because}. ${remedy(failure)}`;
  }
  if (turn === asking) $("answer").textContent = text;
}

function checksum() {
  const digest = $("checksum").value.trim();
  if (/^[0-9a-f]{64}$/i.test(digest)) return `sha-256=${digest}`;
  return /^[0-9a-f]{128}$/i.test(digest) ? `sha-512=${digest}` : digest;
}

async function submit(event) {
  event.preventDefault();
  $("refused").hidden = true;
  const wanted = {
    url: $("url").value,
    save_as: join($("save-as").value, $("extension").value),
    checksum: checksum(),
    limit: $("limit").value,
    allow_private: $("allow-private").checked,
  };
  try {
    await post("/api/jobs", wanted);
  } catch (failure) {
    $("refused-why").textContent = `It cannot begin: ${failure.because}.`;
    $("refused-try").textContent = remedy(failure);
    $("refused").hidden = false;
    return;
  }
  sessionStorage.setItem(LAST, JSON.stringify({ url: wanted.url, save_as: wanted.save_as }));
  $("wanted").reset();
  $("answer").textContent = "";
  typed = false;
  asking += 1;
  clearTimeout(timer);
}
