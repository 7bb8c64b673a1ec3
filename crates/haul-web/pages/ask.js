// The question to the owner: who wants help, with what, and at what cost.

import { post } from "/program.js";
import { remedy, sentence, size, span } from "/words.js";

const $ = (id) => document.getElementById(id);

// Nobody answers by a click or a key that was meant for what stood here a moment before.
const DEAF = 1000;
const TICK = 250;

let open = null;
let ready = 0;
let timer = 0;
let mine = null;
let say = () => {};

export function setUp(tell) {
  say = tell;
  for (const button of $("answers").children) {
    button.addEventListener("click", () => choose(button.dataset.say));
  }
  $("code-form").addEventListener("submit", (event) => {
    event.preventDefault();
    answer("always", $("code").value);
  });
  $("code-back").addEventListener("click", () => {
    showCode(false);
    $("always").focus();
  });
  document.addEventListener("keydown", press);
}

export function title() {
  return open && `${open.leader} asks for help · haul`;
}

export function show(asked) {
  if (asked?.id === open?.id) return;
  const before = open;
  open = asked;
  clearInterval(timer);
  const had = $("ask").contains(document.activeElement);
  $("ask").hidden = open === null;
  if (open === null) {
    close(before, had);
    return;
  }
  fill();
  enable(false);
  ready = Date.now() + DEAF;
  timer = setInterval(tick, TICK);
  tick();
  $("ask-said").textContent = `${$("ask-what").textContent} ${$("ask-who").textContent}`;
}

function close(before, had) {
  $("ask-said").textContent = "";
  if (had) $("top").focus();
  if (before && mine !== before.id) say(`The question of ${before.leader} is closed.`);
}

const STANDINGS = {
  known: ({ leader, known_as: name }) =>
    name === leader ? "You know it." : `You know it as ${name}.`,
  group: () => "It is of your group.",
  namesake: ({ leader }) => `It is NOT the ${leader} that you know: its key is another.`,
};

function fill() {
  const { leader, leader_id: key, standing, scheme, host } = open;
  $("ask-what").textContent = `${leader} wants to download a file of ${size(open.size)} from ${host}.`;
  $("ask-who").textContent = (STANDINGS[standing] ?? (() => "You do not know it."))(open);
  $("ask-who").className = standing === "namesake" ? "warning" : "";
  $("ask-host").textContent = scheme === "https" ? host : `${host} (http, which others can read)`;
  $("ask-size").textContent = size(open.size);
  $("ask-cost").textContent = cost();
  // Enough of it to tell two that go by one name apart.
  $("ask-key").textContent = key.slice(0, 16).replace(/(....)(?=.)/g, "$1 ");
  $("code-label").textContent = `The six digits that ${leader}'s screen shows`;
  $("code-go").textContent = `Help ${leader} always`;
  $("code").value = "";
  document.querySelector("#lasts [value=hours]").checked = true;
  trouble("");
  showCode(false);
}

function cost() {
  if (!open.cost) return "as much as your rules let it";
  const { bytes, seconds } = open.cost;
  const most = `up to ${size(bytes)} of the ${size(open.left_today)} that are left of today's ${size(open.per_day)}`;
  return seconds === null
    ? `${most}; how long that takes is not known yet`
    : `${most}, in about ${span(seconds)}`;
}

function tick() {
  const left = Math.max(0, Math.ceil((open.until - Date.now()) / 1000));
  $("ask-left").textContent = `${left} s left; no answer means no.`;
  $("ask-bar").value = left;
  if (Date.now() >= ready && $("yes").disabled) enable(true);
}

function enable(can) {
  for (const button of $("answers").children) button.disabled = !can;
}

function showCode(shown) {
  $("code-form").hidden = !shown;
  $("answers").hidden = shown;
  $("lasts").hidden = shown;
  if (shown) $("code").focus();
}

const KEYS = { y: "yes", n: "no", p: "always", b: "never" };

function press(event) {
  const { target, key } = event;
  const word = KEYS[key.toLowerCase()];
  const typing = target.closest?.("input:not([type=radio]), select, textarea");
  if (!open || !word || typing || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if ($("yes").disabled || $("answers").hidden) return;
  event.preventDefault();
  choose(word);
}

function choose(word) {
  if (!open) return;
  if (word === "always") showCode(true);
  else answer(word, "");
}

const LASTS = { file: "with this file", hours: "for 2 hours", today: "until midnight" };

const SAID = {
  yes: (leader, lasts) => `You help ${leader} ${LASTS[lasts]}.`,
  no: (leader) => `You do not help ${leader}.`,
  always: (leader) => `${leader} is known from now on.`,
  never: (leader) => `${leader} is blocked from now on.`,
};

async function answer(word, code) {
  const { id, leader } = open;
  const lasts = document.querySelector("#lasts :checked").value;
  mine = id;
  trouble("");
  try {
    await post("/api/answer", { ask: id, say: word, lasts, code });
    say(SAID[word](leader, lasts));
  } catch (failure) {
    mine = null;
    if (open?.id !== id) return;
    trouble(`${failure.because}. ${remedy(failure)}`);
    if (word === "always") $("code").select();
  }
}

function trouble(text) {
  $("ask-trouble").textContent = sentence(text);
  $("ask-trouble").hidden = text === "";
}
