// The downloads: those that wait, the one at work, and those that ended.

import { post } from "/program.js";
import { percent, remedy, size, time, times, verdict } from "/words.js";

// What can be done with a download, by its state.
const DEEDS = {
  waiting: ["pause", "cancel"],
  working: ["pause", "cancel"],
  paused: ["resume", "link", "cancel"],
  cancelled: ["resume", "link", "forget"],
  failed: ["resume", "link", "forget"],
  done: ["forget"],
};

const LABELS = {
  pause: "Pause",
  cancel: "Cancel",
  resume: "Resume",
  link: "Another link",
  forget: "Remove from the list",
};

// Buttons for a download; what goes wrong is shown by `report`.
export function buttons(job, report) {
  const made = DEEDS[job.state.is].map((deed) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.deed = `${deed}-${job.id}`;
    button.textContent = LABELS[deed];
    button.setAttribute("aria-label", `${LABELS[deed]}: ${job.name}`);
    button.addEventListener("click", () => {
      if (deed === "link") openLink(job, button, report);
      else attempt(`/api/jobs/${deed}`, { job: job.id }, report);
    });
    return button;
  });
  return made;
}

async function attempt(path, value, report) {
  try {
    await post(path, value);
  } catch (failure) {
    report(`That did not work: ${failure.because}. ${remedy(failure)}`);
  }
}

function openLink(job, button, report) {
  const form = document.createElement("form");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const go = document.createElement("button");
  input.id = `link-${job.id}`;
  Object.assign(input, { type: "url", required: true, spellcheck: false, autocomplete: "off" });
  label.htmlFor = input.id;
  label.textContent = `Another link of the same file, for ${job.name}`;
  go.textContent = "Resume from there";
  const row = document.createElement("div");
  row.className = "buttons";
  row.append(go);
  form.append(label, input, row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt("/api/jobs/resume", { job: job.id, url: input.value }, report);
  });
  button.parentElement.after(form);
  button.disabled = true;
  input.focus();
}

export function stateText({ state, stored, size: whole }) {
  const far = whole && stored ? ` at ${percent(stored, whole)} of ${size(whole)}` : "";
  switch (state.is) {
    case "waiting":
      return "Waits for its turn.";
    case "working":
      return "At work.";
    case "paused":
      return `Paused${far}.`;
    case "cancelled":
      return `Cancelled${far}; what there is stays in the folder.`;
    case "failed":
      return `Failed${far}: ${state.because}. ${remedy(state)}`;
    default: {
      const gain = state.speedup > 1.05 ? ` ${times(state.speedup)}.` : "";
      return `${size(whole)} in ${time(state.seconds)}.${gain} ${verdict(state.verified)}`;
    }
  }
}

// The newest first. Items whose state has not changed stay as they are, with what is typed there.
export function show(list, jobs, report) {
  const focused = document.activeElement?.dataset?.deed;
  const old = new Map([...list.children].map((item) => [item.dataset.state, item]));
  const items = jobs.toReversed().map((job) => {
    const state = JSON.stringify([job.id, job.state, job.host]);
    return old.get(state) ?? item(job, state, report);
  });
  list.replaceChildren(...items);
  if (focused) refocus(list, focused);
}

function item(job, state, report) {
  const made = document.createElement("li");
  const name = document.createElement("strong");
  const about = document.createElement("small");
  const row = document.createElement("div");
  made.dataset.state = state;
  made.dataset.is = job.state.is;
  name.textContent = job.name;
  about.textContent = `${stateText(job)} From ${job.host}.`;
  row.className = "buttons";
  row.append(...buttons(job, report));
  made.append(name, about, row);
  return made;
}

// A button that went away hands the focus to the one that does the opposite, or to its neighbour.
function refocus(list, deed) {
  if (document.activeElement !== document.body) return;
  const id = deed.split("-").at(-1);
  const same = list.querySelector(`[data-deed="${deed}"]`);
  (same ?? list.querySelector(`[data-deed$="-${id}"]`))?.focus();
}
