// How the helper is, whom it helps, and whom it has helped.

import { post } from "/program.js";
import { clock, percent, rate, remedy, rule, size, span } from "/words.js";

const $ = (id) => document.getElementById(id);

const QUARTER = 15 * 60;
const SLOWEST = 16 * 1024;

let status = null;
let say = () => {};

export function setUp(tell) {
  say = tell;
}

export function title() {
  if (!status || status.trouble) return null;
  if (status.state === "helping") return `lends ${rate(speed())} · haul`;
  return status.state === "paused" ? "paused · haul helper" : null;
}

function speed() {
  return status.helping.reduce((sum, help) => sum + help.rate, 0);
}

export function showStatus(told) {
  const before = status?.state;
  status = told;
  $("lending").hidden = false;
  if (told.trouble) {
    $("state").textContent = "The helper is not ready";
    $("state-why").textContent = told.trouble;
    return;
  }
  const [state, why] = STATES[told.state]();
  $("state").textContent = state;
  $("state-why").textContent = why;
  $("lending").dataset.state = told.state;
  if (before && before !== told.state) say(`${state} ${why}`);
  showHelps();
  showDeeds();
  showLent("today", "Today", told.spent.today, told.per_day);
  showLent("month", "In 30 days", told.spent.last_30_days, told.per_30_days);
  showFacts();
}

const STATES = {
  waiting: () =>
    status.refuses
      ? ["Nobody is helped at present", `${rule(status.refuses)}.`]
      : ["Ready to help", "Whoever asks is shown here, unless your rules answer for you."],
  helping: () => ["Helping", ""],
  paused: () => [
    "Paused",
    status.paused_until
      ? `Nobody is helped until ${clock(status.paused_until)}.`
      : "Nobody is helped until you resume.",
  ],
};

// ---- who is being helped

function showHelps() {
  const old = new Map([...$("helps").children].map((row) => [row.dataset.help, row]));
  const rows = status.helping.map((help) => {
    const row = old.get(String(help.help)) ?? helpRow(help);
    row.figures.textContent =
      `${rate(help.rate)} · ${size(help.bytes)} lent · ${span(help.seconds)}` + limited();
    return row;
  });
  const same = rows.length === old.size && rows.every((row) => old.get(row.dataset.help) === row);
  if (same) return;
  const had = $("helps").contains(document.activeElement);
  $("helps").replaceChildren(...rows);
  if (had && !$("helps").contains(document.activeElement)) $("top").focus();
}

function limited() {
  return status.limit === null ? "" : ` · slowed to ${rate(status.limit)}`;
}

function helpRow({ help, leader, host }) {
  const row = document.createElement("li");
  const name = document.createElement("strong");
  const figures = document.createElement("small");
  name.textContent = `${leader}: a file from ${host}`;
  figures.className = "figures";
  const end = button("Stop now", `Stop helping ${leader} now`, () => ({ path: "/api/end", value: { help } }));
  end.dataset.deed = "end";
  const buttons = document.createElement("div");
  buttons.className = "buttons";
  buttons.append(end);
  row.append(name, figures, buttons);
  row.dataset.help = help;
  row.figures = figures;
  return row;
}

// ---- what the owner can do

const DEEDS = {
  slower: [
    "Slower",
    "Half as fast as now",
    () => ({ path: "/api/limit", value: { rate: half() } }),
  ],
  faster: ["Full speed", "As fast as your rules let it", () => ({ path: "/api/limit", value: { rate: null } })],
  quarter: [
    "Pause for 15 minutes",
    "Help nobody for 15 minutes",
    () => ({ path: "/api/pause", value: { seconds: QUARTER } }),
  ],
  pause: ["Pause", "Help nobody until you resume", () => ({ path: "/api/pause", value: { seconds: null } })],
  resume: ["Resume", "Help again", () => ({ path: "/api/resume", value: {} })],
};

// A second in which nothing came tells nothing of how fast it is.
function half() {
  const usual = status.helping.reduce((sum, help) => sum + help.bytes / Math.max(1, help.seconds), 0);
  return Math.max(SLOWEST, Math.floor((status.limit ?? Math.max(speed(), usual)) / 2));
}

function deeds() {
  if (status.state === "paused") return ["resume"];
  const speeds = status.state === "helping" ? ["slower", ...(status.limit === null ? [] : ["faster"])] : [];
  return [...speeds, "quarter", "pause"];
}

// Only another choice makes new buttons, so that the focus stays where it is.
function showDeeds() {
  const row = $("deeds");
  const wanted = deeds();
  if (row.dataset.deeds === wanted.join(" ")) return;
  row.dataset.deeds = wanted.join(" ");
  const focused = row.contains(document.activeElement) && document.activeElement.dataset.deed;
  const made = wanted.map((deed) => {
    const [label, about, request] = DEEDS[deed];
    const made = button(label, about, request);
    made.dataset.deed = deed;
    return made;
  });
  row.replaceChildren(...made);
  if (focused) (made.find(({ dataset }) => dataset.deed === focused) ?? made[0]).focus();
}

function button(label, about, request) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  if (about) made.title = about;
  if (about.startsWith("Stop")) made.setAttribute("aria-label", `${label}: ${about}`);
  made.addEventListener("click", () => attempt(request()));
  return made;
}

async function attempt({ path, value }) {
  $("deed-trouble").hidden = true;
  try {
    await post(path, value);
  } catch (failure) {
    $("deed-trouble").textContent = `That did not work: ${failure.because}. ${remedy(failure)}`;
    $("deed-trouble").hidden = false;
  }
}

// ---- what was lent, and what counts

function showLent(id, when, bytes, most) {
  const share = most ? bytes / most : 1;
  $(`${id}-text`).textContent = `${when}: ${size(bytes)} of ${size(most)}, ${percent(bytes, most) || "all"}`;
  $(id).value = Math.min(1, share);
}

const MODES = {
  ask: "you are asked",
  known: "refused: only who is known is helped",
  always: "helped without a question",
  never: "nobody is helped",
};

function showFacts() {
  const { mode, rate: most, fastest, metered, vpn, battery, managed, policy_error: error } = status;
  const facts = [
    ["Who is not known", MODES[mode]],
    ["Speed", most === null ? "as fast as it goes" : `no more than ${rate(most)}`],
    ["Fastest seen here", fastest === null ? "not known yet" : rate(fastest)],
    ["Metered connection", metered],
    ["VPN", vpn],
    ["Power", power(battery)],
  ];
  if (managed.length > 0) facts.push(["Managed by your organisation", managed.join(", ")]);
  if (error) facts.push(["Not in force", `the newest version of the rules: ${error}`]);
  const told = JSON.stringify(facts);
  if ($("facts").dataset.told === told) return;
  $("facts").dataset.told = told;
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [item("dt", name), item("dd", text)]));
}

function item(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function power(battery) {
  if (battery.discharging !== undefined) return `battery, ${battery.discharging} %`;
  return battery;
}

// ---- whom this machine has helped

export function showHistory(helps) {
  $("past").hidden = false;
  $("past-none").hidden = helps.length > 0;
  const rows = helps.map(({ at, seconds, leader, host, bytes, because }) => {
    const row = document.createElement("li");
    const about = document.createElement("small");
    row.append(item("strong", leader), about);
    about.textContent = `${size(bytes)} from ${host} in ${span(seconds)}, ${clock(at)}: ${rule(because)}`;
    return row;
  });
  $("helped").replaceChildren(...rows);
}
