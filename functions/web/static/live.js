// Live progress of "Sync now". Without it the form is sent as it is, and the answer comes when the run has ended.
"use strict";
const live = document.getElementById("live");
const say = (text) => { document.getElementById("live-text").textContent = text; };
const bar = (name, done, total) => {
  const at = document.getElementById(`live-${name}`);
  at.max = Math.max(total, 1);
  at.value = done;
  document.getElementById(`live-${name}-text`).textContent = `${done} of ${total}`;
};
const PHASES = {
  started: () => say("The run has the fabric in hand."),
  read: (told) => { bar("read", told.done, told.total); say(`Reading the fabric: ${told.kind}.`); },
  compare: () => say("Comparing with NetBox."),
  planned: (told) => say(`To create: ${told.creates}, to change: ${told.updates}, no longer in the fabric: ${told.stale}.`),
  write: (told) => { bar("write", told.done, told.total); say(`Writing to NetBox: ${told.model}.`); },
};

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part), data = /^data: (.*)$/m.exec(part);
      if (name && data) yield [name[1], JSON.parse(data[1])];
    }
  }
}

async function follow(form) {
  const given = new FormData(form);
  const plan = given.get("plan");
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { "Accept": "text/event-stream", "Content-Type": "application/json", "X-Form-Token": given.get("form_token") },
    body: JSON.stringify(plan ? { plan } : {}),
  });
  if (!(answer.headers.get("Content-Type") || "").startsWith("text/event-stream")) {
    const problem = await answer.json();
    return say(`${problem.detail} ${problem.hint || ""}`);
  }
  for await (const [name, told] of events(answer.body)) {
    if (name === "progress") PHASES[told.phase](told);
    if (name === "outcome" || (name === "problem" && told.outcome && told.outcome.result !== "skipped")) {
      const id = encodeURIComponent((told.outcome || told).request_id);
      return location.assign(`/fabrics/${form.dataset.live}?request=${id}`);
    }
    if (name === "problem") return say(`${told.detail} ${told.hint || ""}`);
  }
  say("The connection ended before the run did. The page shows how it stands: reload it.");
}

for (const form of live ? document.querySelectorAll("form[data-live]") : []) {
  form.addEventListener("submit", async (sent) => {
    sent.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    live.hidden = false;
    say("It begins.");
    try { await follow(form); } catch (error) { say(`The run cannot be followed any more (${error.message}): reload the page.`); }
    button.disabled = false;
  });
}
