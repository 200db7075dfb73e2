import { Fleet2banError } from "../shared/errors.ts";

/** What the asker saw is not what is there any more: look again, then decide. */
export class StaleError extends Fleet2banError {
  constructor(what: string) {
    super("conflict", `${what} has changed since you read it; read it again and repeat the change`);
  }
}

/** Asked too often. */
export class LimitError extends Fleet2banError {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super("conflict", message);
    this.retryAfterMs = retryAfterMs;
  }
}
