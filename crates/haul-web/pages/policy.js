// The owner's rules as a form. What is typed is judged by the program, as the file is.

import { post } from "/program.js";
import { remedy, sentence } from "/words.js";

const $ = (id) => document.getElementById(id);

const LABELS = {
  "mode": "Who is not known",
  "leaders.known": "Leaders that are known by the file",
  "leaders.blocked": "Leaders that are never helped",
  "leaders.at_once": "Leaders at a time",
  "leaders.grant_days": "Days for which “always” holds",
  "hosts.allow": "Hosts that may be fetched from",
  "hosts.deny": "Hosts that may not",
  "networks.allow": "Private networks that may be fetched from",
  "limits.largest_file": "Largest file",
  "limits.largest_share": "Largest part of a file",
  "limits.per_job": "Most for one file",
  "limits.per_day": "Most in a day",
  "limits.per_30_days": "Most in 30 days",
  "limits.rate": "Speed",
  "limits.rate_while_busy": "Speed while you use the network",
  "limits.busy_above": "You use the network from",
  "limits.connections": "Connections to a server",
  "when.hours": "Hours",
  "when.metered": "On a metered connection",
  "when.vpn": "While a VPN is up",
  "when.unknown": "Where that cannot be told",
  "when.battery": "Not on battery below",
  "prompts.per_hour": "Questions an hour",
};

// What was written when the form was filled.
let written = new Map();
let told = "";

// What is being saved comes back as the program has written it.
let saving = new Set();

export function setUp() {
  $("policy").addEventListener("submit", save);
  $("undo").addEventListener("click", undo);
}

export function show(policy) {
  $("rules").hidden = false;
  $("rules-path").textContent = policy.path ? `They are kept in ${policy.path}.` : "";
  const broken = policy.because !== null;
  $("rules-broken").hidden = !broken;
  $("rules-form").hidden = broken;
  if (broken) {
    $("broken-why").textContent = `They cannot be read: ${policy.because}.`;
    $("broken-try").textContent = `Please ${policy.try}.`;
    return;
  }
  const text = JSON.stringify(policy.fields);
  if (text === told) return;
  told = text;
  // What somebody is typing stays; what changed in the file meanwhile shows in the other fields.
  const typed = changes().filter(([name]) => !saving.has(name));
  saving = new Set();
  written = new Map(policy.fields.map((field) => [field.name, field.own ?? ""]));
  const focused = document.activeElement?.id;
  $("fields").replaceChildren(...policy.fields.map(part));
  for (const [name, text] of typed) {
    if (input(name) && !input(name).disabled) input(name).value = text;
  }
  if (focused && document.activeElement === document.body) $(focused)?.focus();
}

const idOf = (name) => `field-${name.replaceAll(".", "-").replaceAll("_", "-")}`;
const input = (name) => $(idOf(name));

function part(field) {
  const whole = document.createElement("div");
  const id = idOf(field.name);
  const label = text("label", LABELS[field.name] ?? field.name);
  label.htmlFor = id;
  const about = text("p", field.about, "hint");
  about.id = `${id}-about`;
  const wrong = text("p", "", "refused");
  wrong.id = `${id}-wrong`;
  wrong.hidden = true;
  const control = controlOf(field);
  control.id = id;
  control.setAttribute("aria-describedby", `${about.id} ${wrong.id}`);
  whole.append(label, control, wrong, about);
  const notes = notesOf(field);
  if (notes) whole.insertBefore(text("p", notes, "note"), about);
  return whole;
}

// Lists that only refuse are added to what the organisation refuses.
const isLocked = ({ name, managed, shape }) =>
  shape === "shown" || (managed !== null && !["leaders.blocked", "hosts.deny"].includes(name));

function notesOf({ name, managed, said, shape }) {
  const notes = [];
  if (managed !== null) {
    const added = ["leaders.blocked", "hosts.deny"].includes(name);
    notes.push(added ? `Managed by your organisation, and added to: ${managed}.` : "Managed by your organisation.");
  }
  if (shape === "shown") notes.push("It is changed in the file.");
  if (said) notes.push("For this run the command line says otherwise, or more.");
  return notes.join(" ");
}

function controlOf(field) {
  const locked = isLocked(field);
  const value = locked ? (field.managed ?? field.own ?? field.default) : (field.own ?? "");
  const control = document.createElement({ choice: "select", list: "textarea", shown: "textarea" }[field.shape] ?? "input");
  if (field.shape === "choice") {
    control.append(option("", `${field.default} (unless you say otherwise)`), ...field.of.map((word) => option(word, word)));
  } else {
    control.placeholder = field.default;
    control.spellcheck = false;
    if (field.shape === "list" || field.shape === "shown") control.rows = Math.min(6, value.split("\n").length + 1);
    if (field.shape === "number") control.inputMode = "numeric";
  }
  control.value = value;
  control.disabled = locked;
  control.dataset.field = field.name;
  return control;
}

function option(value, label) {
  const made = text("option", label);
  made.value = value;
  return made;
}

function text(tag, words, kind) {
  const made = document.createElement(tag);
  made.textContent = words;
  if (kind) made.className = kind;
  return made;
}

function controls() {
  return [...$("fields").querySelectorAll("[data-field]")].filter((control) => !control.disabled);
}

function changes() {
  return controls()
    .filter((control) => control.value !== written.get(control.dataset.field))
    .map((control) => [control.dataset.field, control.value]);
}

async function save(event) {
  event.preventDefault();
  const fields = Object.fromEntries(changes());
  const count = Object.keys(fields).length;
  showFaults({});
  saving = new Set(Object.keys(fields));
  if (count === 0) {
    $("policy-said").textContent = "Nothing was changed.";
    return;
  }
  try {
    await post("/api/policy", { fields });
    $("policy-said").textContent = "Saved. It holds in a moment.";
  } catch (failure) {
    saving = new Set();
    showFaults(failure.fields ?? {});
    $("policy-said").textContent = `Nothing was saved: ${failure.because}. ${remedy(failure)}`;
  }
}

function showFaults(faults) {
  for (const control of controls()) {
    const because = faults[control.dataset.field] ?? "";
    const wrong = $(`${control.id}-wrong`);
    wrong.textContent = because && `${sentence(because)}.`;
    wrong.hidden = because === "";
    if (because) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  controls().find((control) => faults[control.dataset.field])?.focus();
}

function undo() {
  for (const control of controls()) control.value = written.get(control.dataset.field);
  showFaults({});
  $("policy-said").textContent = "";
}
