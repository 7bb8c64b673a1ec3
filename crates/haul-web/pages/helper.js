// The helper's page. What others named (leaders, hosts) is shown through textContent only.

import * as ask from "/ask.js";
import { begin } from "/entry.js";
import * as lending from "/lending.js";
import * as policy from "/policy.js";
import * as trust from "/trust.js";

const $ = (id) => document.getElementById(id);

const AWAY = [
  "The helper does not answer",
  "It was stopped, or is just starting. This page tries again by itself; as long as it does not " +
    "answer, nothing is lent.",
];

const LINES = 5;

// Says something to whoever listens to the page and does not see it.
function say(text) {
  const line = document.createElement("p");
  line.textContent = text;
  $("said").append(line);
  if ($("said").children.length > LINES) $("said").firstElementChild.remove();
}

function showTitle() {
  document.title = ask.title() ?? lending.title() ?? "haul helper";
}

const HEARD = {
  ask: ask.show,
  status: lending.showStatus,
  history: lending.showHistory,
  policy: policy.show,
  trust: trust.show,
};

function showState(is) {
  const parts = ["lending", "trust", "rules", "past"];
  if (is === "in") return;
  // What is shown of a helper that cannot be heard may be wrong.
  parts.forEach((part) => ($(part).hidden = true));
  ask.show(null);
  showTitle();
}

ask.setUp(say);
lending.setUp(say);
policy.setUp();
trust.setUp(say);
begin({
  away: AWAY,
  state: showState,
  heard: (kind, value) => {
    HEARD[kind]?.(value);
    showTitle();
  },
  watchful: true,
});
