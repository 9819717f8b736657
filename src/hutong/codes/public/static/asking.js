// Asks the service, and waits as it says. Who is told to wait gets a signed place in the queue: a place keeps, asking
// again before its time does not help. Nothing is asked again without waiting.

const TICKET = "Hutong-Ticket";
const LONGEST_S = 900;
const TIMEOUT_MS = 15_000;

export class Waiting extends Error {
  constructor(seconds) {
    super(`wait ${seconds} s`);
    this.seconds = Math.min(Math.max(seconds, 1), LONGEST_S);
  }
}

export class NotAllowed extends Error {
  constructor(status, said) {
    super(said?.why ?? String(status));
    Object.assign(this, { status, said });
  }
}

// Whether a wait until then is still on. One that is longer than any stems from a clock that was put right meanwhile.
export const isHeld = (untilMs, nowMs) => nowMs < untilMs && untilMs - nowMs <= LONGEST_S * 1000;

let ticket = "";

// The answer; throws Waiting, NotAllowed, or TypeError where there is no network.
export async function ask(path, { method = "GET", body = null, device = "", type = "json" } = {}) {
  const headers = { "Accept-Language": document.documentElement.lang, ...(ticket && { [TICKET]: ticket }), ...(device && { Authorization: `Bearer ${device}` }) };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method, headers, body: body && JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  ticket = answer.headers.get(TICKET) ?? "";
  if (answer.status === 429 || answer.status === 503) throw new Waiting(Number(answer.headers.get("Retry-After")) || 30);
  if (!answer.ok) throw new NotAllowed(answer.status, await answer.json().catch(() => null));
  return type === "json" ? answer.json() : new Uint8Array(await answer.arrayBuffer());
}

// The same, however long it takes; `told` hears how many seconds are left, and `stopped` ends it.
export async function askUntil(path, options, told, stopped = new AbortController().signal) {
  for (;;) {
    try {
      return await ask(path, options);
    } catch (error) {
      if (!(error instanceof Waiting)) throw error;
      for (let left = Math.ceil(error.seconds); left > 0; left -= 1) {
        told(left);
        await new Promise((done) => setTimeout(done, 1000));
        if (stopped.aborted) throw error;
      }
    }
  }
}
