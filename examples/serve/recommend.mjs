// Tell what a viewer did, ask what comes next, show it. Needs Node 18 or later, and nothing else.
//
//   matinee serve bundle &
//   node examples/serve/recommend.mjs VIEWER ITEM
import { randomUUID } from "node:crypto";

const url = process.env.MATINEE_URL ?? "http://127.0.0.1:8000";
const [viewer = "u-1", item = "i-1"] = process.argv.slice(2);

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (process.env.MATINEE_KEY) headers.Authorization = `Bearer ${process.env.MATINEE_KEY}`;
  const response = await fetch(url + path, { method, headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

// The event is on disk when this answers; with its event_id it may be sent again without harm.
const event = { user: viewer, item, kind: "view", event_id: randomUUID() };
console.log("kept:", (await call("POST", "/v1/events", { events: [event] })).new);

// It counts in the very next answer.
const answer = await call("POST", "/v1/recommend", { user: viewer, k: 5, reasons: true, placement: "home" });
console.log("from:", answer.source);
answer.items.forEach((one, place) =>
  console.log(`${place + 1}. ${one.title ?? one.item} - ${one.reasons.join("; ")}`),
);

// Say which answer a choice followed from, and matinee can say what its recommendations brought.
const named = { recommendation_id: answer.recommendation_id };
const chosen = { user: viewer, item: answer.items[0].item, kind: "view", position: 1, ...named };
const shown = { user: viewer, items: answer.items.map((one) => one.item), ...named };
console.log("kept:", (await call("POST", "/v1/events", { events: [chosen], impressions: [shown] })).new);
