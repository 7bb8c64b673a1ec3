// Whom the owner has said yes or no to, and how to take that back.

import { post } from "/program.js";
import { clock, remedy, size } from "/words.js";

const $ = (id) => document.getElementById(id);

let told = "";
let say = () => {};

export function setUp(tell) {
  say = tell;
}

// For each kind: what is said of it, the button, and what is said when that was pressed.
const KINDS = {
  granted: [
    (grant) =>
      `helped without a question until ${clock(grant.until)}${fileOf(grant)}; ` +
      `${size(grant.bytes)} in ${files(grant.files)} so far`,
    "Take it back",
    (name) => `${name} is asked about again.`,
  ],
  known: [() => "known: helped without a question", "Forget", (name) => `${name} is not known any more.`],
  blocked: [() => "blocked: never helped", "Unblock", (name) => `${name} is not blocked any more.`],
  refused: [
    ({ until }) => `refused: you are not asked about it before ${clock(until)}`,
    "Ask me again",
    (name) => `You are asked about ${name} when it comes again.`,
  ],
};

function fileOf({ covers, host, size: bytes }) {
  return covers === "file" ? ` with one file of ${size(bytes)} from ${host}` : "";
}

function files(count) {
  return count === 1 ? "1 file" : `${count} files`;
}

export function show(trusted) {
  $("trust").hidden = false;
  // Only another list makes new buttons, so that the focus stays where it is.
  const news = JSON.stringify(trusted);
  if (news === told) return;
  told = news;
  const had = document.activeElement.closest("#trusted li")?.dataset.row;
  const rows = Object.keys(KINDS).flatMap((kind) => trusted[kind].map((one) => row(kind, one)));
  $("trusted").replaceChildren(...rows);
  $("trust-none").hidden = rows.length > 0;
  if (had) (rows.find(({ dataset }) => dataset.row === had)?.querySelector("button") ?? $("top")).focus();
}

function row(kind, one) {
  const [about, label, done] = KINDS[kind];
  const name = one.leader ?? one.name;
  const id = one.leader_id ?? one.id;
  const made = document.createElement("li");
  const who = document.createElement("strong");
  const what = document.createElement("small");
  const undo = document.createElement("button");
  const buttons = document.createElement("div");
  who.textContent = name;
  what.textContent = about(one);
  undo.type = "button";
  undo.textContent = label;
  undo.dataset.undo = kind;
  undo.setAttribute("aria-label", `${label}: ${name}`);
  undo.addEventListener("click", () => attempt(kind, id, done(name)));
  buttons.className = "buttons";
  buttons.append(undo);
  made.append(who, what, buttons);
  made.dataset.row = `${kind} ${id}`;
  return made;
}

async function attempt(what, leader, done) {
  $("trust-trouble").hidden = true;
  try {
    await post("/api/trust", { what, leader });
    say(done);
  } catch (failure) {
    $("trust-trouble").textContent = `That did not work: ${failure.because}. ${remedy(failure)}`;
    $("trust-trouble").hidden = false;
  }
}
