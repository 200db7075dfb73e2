import { secondMs } from "../../shared/durations.ts";
import { messageOf } from "../../shared/errors.ts";
import type { Events } from "../events.ts";
import type { Conduct } from "./conduct.ts";
import type { HostDirectory } from "./host-directory.ts";

export type ConductParts = Readonly<{
  conduct: Conduct;
  directory: HostDirectory;
  /** In the database and the judgement; the host's failures are evidence only from then on. */
  quarantine: (host: string, why: string) => Promise<void>;
  events: Events;
  now: () => number;
}>;

const reviewEveryMs = secondMs;

/** Acts on what hosts should not do: counts and logs it, and stops believing whoever does it too often. */
export function watchConduct({ conduct, directory, quarantine, events, now }: ConductParts): AsyncDisposable {
  let acting: Promise<void> = Promise.resolve();
  const review = (): void => {
    const { noted, verdicts } = conduct.review(now());
    // What the ingest refuses, it has counted and logged itself.
    for (const { host, misdeed, count } of noted) if (misdeed !== "bad_rows") events.refused(misdeed, { host, count });
    for (const { host, why, quarantine: stop } of verdicts) {
      events.log.error({ host, why, event: "misbehaves" }, "a host misbehaves");
      if (!stop || directory.get(host)?.state !== "active") continue;
      acting = acting
        .then(() => quarantine(host, why))
        .then(() => events.refused("quarantined", { host, why }))
        .catch((error: unknown) => {
          const fields = { host, problem: messageOf(error), event: "not_quarantined" };
          events.log.error(fields, "could not quarantine a host");
        });
    }
  };
  const timer = setInterval(review, reviewEveryMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await acting;
    },
  };
}

/** The same events, with what the ingest refuses held against the host that sent it. */
export function heedRefusals(events: Events, conduct: Conduct): Events {
  return {
    ...events,
    refused(reason, fields) {
      events.refused(reason, fields);
      const host = "host" in fields && typeof fields.host === "string" ? fields.host : undefined;
      if (host === undefined) return;
      const rows = "rows" in fields && typeof fields.rows === "number" ? fields.rows : undefined;
      if (reason === "bad_row") conduct.note(host, "bad_rows", rows ?? 1);
      // Nothing of it could be read, however many rows it had.
      if (reason === "bad_batch") conduct.note(host, "bad_rows", unreadableBatchRows);
    },
  };
}

const unreadableBatchRows = 50;
