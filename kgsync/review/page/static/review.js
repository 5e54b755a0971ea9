// The keys of the review page. Everything works without them: each key presses a button or follows a link.
"use strict";

let sent = false; // a second press must not decide about an edge that nobody has seen yet

document.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  else if (event.target.method === "post") sent = true;
});
addEventListener("pageshow", (event) => {
  sent = false;
  if (event.persisted) location.reload(); // the page came back as it was, the graph may not have
});

function inField() {
  const here = document.activeElement;
  return here instanceof HTMLInputElement || here instanceof HTMLSelectElement;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (inField()) {
    const why = document.activeElement.classList.contains("reason");
    if (event.key === "Escape" || (why && event.key === "Enter")) {
      document.activeElement.blur();
      event.preventDefault();
    }
    return;
  }
  if (event.repeat || document.querySelector("dialog[open]")) return;
  if (event.key === "?") return keys();
  const field = { w: ".reason", f: ".filters select" }[event.key];
  const target = field
    ? document.querySelector(field)
    : [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === event.key);
  if (!target) return;
  event.preventDefault();
  if (field) target.focus();
  else if (!sent) target.click();
});

function keys() {
  document.getElementById("keys")?.showModal();
}

document.getElementById("help")?.addEventListener("click", keys);
const list = document.querySelector(".list");
const here = list?.querySelector(".here");
if (here) list.scrollTop = here.offsetTop - list.offsetTop - list.clientHeight / 3; // the page itself stays where it is
for (const select of document.querySelectorAll(".filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// An explanation takes a model a moment: it is fetched for an edge that somebody stays with, and replaces its link.
const why = document.querySelector("[data-why]");
if (why) setTimeout(async () => {
  const answer = await fetch(why.dataset.why).then((it) => it.status === 200 && it.text()).catch(() => "");
  if (!answer) return; // the link stays
  const page = new DOMParser().parseFromString(answer, "text/html");
  why.replaceChildren(...page.querySelector(".why").childNodes);
}, 400);
