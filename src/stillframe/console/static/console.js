// What the pages do by themselves: live parts, copying, the login link, questions before something is lost.
"use strict";

// <section data-live="/console/jobs/events" hx-get="..." hx-trigger="changed"> asks for itself anew whenever the
// stream says so. A hidden page needs none, and browsers have few connections for each server.
function follow(part) {
  let stream = null;
  const open = () => {
    stream = new EventSource(part.dataset.live);
    stream.addEventListener("changed", () => htmx.trigger(part, "changed"));
  };
  const close = () => { if (stream) stream.close(); stream = null; };
  const look = () => { if (document.hidden) close(); else if (!stream) open(); };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", close);
  look();
}

async function copy(button) {
  const text = button.parentElement.querySelector("pre").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // pages that did not come by https have no clipboard: select it, so that Ctrl-C does
    getSelection().selectAllChildren(button.parentElement.querySelector("pre"));
    button.textContent = "Press Ctrl-C";
    return;
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  for (const menu of document.querySelectorAll("details.who[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// <form data-ask="Delete this job?">, and a box in it that is ticked may ask otherwise
document.addEventListener("submit", (event) => {
  const ticked = event.target.querySelector("[data-ask]:checked");
  const question = (ticked || event.target).dataset.ask;
  if (!question || confirm(question)) return;
  event.preventDefault();
  // nor does htmx send it
  event.stopPropagation();
}, true);

// <form data-busy="Writing to it and reading from it"> says so while the answer takes its time
document.addEventListener("submit", (event) => {
  const text = event.target.dataset.busy;
  if (!text || event.defaultPrevented) return;
  const line = document.createElement("p");
  line.setAttribute("role", "status");
  line.className = "busy";
  event.target.append(line);
  line.textContent = `${text}…`;
  for (const button of event.target.querySelectorAll("button")) button.disabled = true;
});

// <select data-auto> sends its form when it is changed
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-auto]")) event.target.form.requestSubmit();
});

// what is wrong with a field may come while somebody is writing: it is said of the field, too
document.addEventListener("htmx:afterSettle", () => {
  for (const about of document.querySelectorAll(".field > [id^=about-]")) {
    const input = about.parentElement.querySelector("input, select, textarea");
    if (about.matches(".error")) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
  }
});

// a form that was refused: to its first field that is not right
function toWrong(part) { part.querySelector("[aria-invalid=true]")?.focus(); }
toWrong(document);
document.addEventListener("htmx:afterSettle", (event) => { if (event.target.matches("form")) toWrong(event.target); });

// <textarea data-line="7"> has something wrong in that line
for (const area of document.querySelectorAll("textarea[data-line]")) {
  const lines = area.value.split("\n");
  const before = lines.slice(0, area.dataset.line - 1).join("\n").length;
  const begins = before ? before + 1 : 0;
  area.focus();
  area.setSelectionRange(begins, begins + (lines[area.dataset.line - 1] || "").length);
}

// the token of a login link stands behind the #, where no server sees it
const login = document.querySelector("[data-login-link]");
if (login && location.hash.length > 20) {
  login.elements.link.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  login.requestSubmit();
}

// where the sections do not fit, the one that one is in is shown
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

document.querySelectorAll("[data-live]").forEach(follow);
