// Downloads that a former run left, and that can be gone on with.

import { post } from "/program.js";
import { percent, remedy, size, time } from "/words.js";

const $ = (id) => document.getElementById(id);

export function show(jobs) {
  $("left").hidden = jobs.length === 0;
  $("left-jobs").replaceChildren(...jobs.map(item));
}

function item(job) {
  const made = document.createElement("li");
  const name = document.createElement("strong");
  const about = document.createElement("small");
  name.textContent = job.name;
  about.textContent = `${far(job)} from ${job.host}, ${ago(job.when)} ago. ${why(job)}`;
  made.append(name, about);
  if (job.in_use || job.elsewhere) return made;
  if (job.whole) made.append(row(resumes(job)));
  else made.append(linkForm(job));
  return made;
}

function far({ stored, size: whole }) {
  return whole ? `${percent(stored, whole)} of ${size(whole)}` : size(stored);
}

function ago(unix) {
  const seconds = Math.max(0, Date.now() / 1000 - unix);
  return seconds < 86400 ? time(seconds) : `${Math.floor(seconds / 86400)} d`;
}

function why({ id, in_use: busy, elsewhere, whole }) {
  if (busy) return "Another program is at work on it.";
  if (elsewhere) return `It goes to ${elsewhere}; in a terminal, leader resume ${id} goes on with it.`;
  if (!whole) return "Its link had a part that may be secret and was not kept; paste the link again.";
  return "";
}

function row(...buttons) {
  const made = document.createElement("div");
  made.className = "buttons";
  made.append(...buttons);
  return made;
}

function resumes(job) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Resume";
  button.dataset.left = job.id;
  button.setAttribute("aria-label", `Resume: ${job.name}`);
  button.addEventListener("click", () => resume({ left: job.id }));
  return button;
}

function linkForm(job) {
  const form = document.createElement("form");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const go = document.createElement("button");
  input.id = `left-${job.id}`;
  Object.assign(input, { type: "url", required: true, spellcheck: false, autocomplete: "off" });
  label.htmlFor = input.id;
  label.textContent = `The link of ${job.name}`;
  go.textContent = "Resume from there";
  form.append(label, input, row(go));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    resume({ left: job.id, url: input.value });
  });
  return form;
}

async function resume(which) {
  $("left-trouble").hidden = true;
  try {
    await post("/api/left/resume", which);
  } catch (failure) {
    $("left-trouble").textContent = `It cannot go on: ${failure.because}. ${remedy(failure)}`;
    $("left-trouble").hidden = false;
  }
}
