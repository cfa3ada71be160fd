"use strict";
// What the pages do beyond forms and links; without it they work all the same.

// Airflow shows the page in a frame that can open nothing: a link to elsewhere is followed by the page around it.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-out]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outside = window.parent.document.createElement("a");
  outside.href = link.href;
  outside.target = "_blank";
  outside.rel = "noopener noreferrer";
  outside.click();
});

// A second click on a button that starts something starts nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Follow a run until it is done, then show what it has changed.
const run = document.querySelector("#run[data-state]");
const follow = async () => {
  try {
    const answer = await fetch(run.dataset.state, { headers: { accept: "application/json" } });
    if (answer.ok) {
      const now = await answer.json();
      for (const name of ["state", "told", "lists"]) {
        const shown = document.getElementById(name);
        if (shown.textContent !== now[name]) shown.textContent = now[name];
      }
      if (now.is_settled || (now.is_done && !("done" in run.dataset))) { window.location.reload(); return; }
    }
  } catch { /* The server is away for a moment: ask again. */ }
  window.setTimeout(follow, 1000);
};
if (run) window.setTimeout(follow, 500);
