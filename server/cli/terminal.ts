import { createInterface } from "node:readline/promises";
import { UsageError } from "../../shared/command-line.ts";

/** What a command may say to a person beside its answer; programs that read the answer see none of it. */
export type Terminal = Readonly<{
  /** Asks before something wide. @throws UsageError when it is not wanted, or nobody is there to ask */
  confirm(question: string): Promise<void>;
  /** How far long work is; shown on a terminal only. */
  progress(text: string): void;
  /** Shows every second how far `work` is, on a terminal only; a look that fails shows nothing. */
  during<T>(look: () => Promise<string>, work: () => Promise<T>): Promise<T>;
}>;

/** Often enough to be believed. */
const lookEveryMs = 1000;

/** `lifting ████████░░░░░░░░░░░░ 3000 of 7500` */
export function progressBar(doing: string, done: number, total: number): string {
  const full = Math.round((done / Math.max(1, total)) * barLength);
  return `${doing} ${"█".repeat(full)}${"░".repeat(barLength - full)} ${done} of ${total}`;
}
const barLength = 20;

export function openTerminal(
  input: NodeJS.ReadableStream & Readonly<{ isTTY?: boolean }>,
  output: NodeJS.WritableStream & Readonly<{ isTTY?: boolean; columns?: number }>,
  isSure: boolean,
): Terminal & Readonly<{ clear(): void }> {
  let isDirty = false;
  const clear = (): void => {
    if (isDirty) output.write("\r\u001b[K");
    isDirty = false;
  };
  const progress = (text: string): void => {
    if (output.isTTY !== true) return;
    clear();
    output.write(text.slice(0, (output.columns ?? 80) - 1));
    isDirty = true;
  };
  return {
    clear,
    progress,
    async during(look, work) {
      if (output.isTTY !== true) return await work();
      const timer = setInterval(() => void look().then(progress, () => undefined), lookEveryMs);
      try {
        return await work();
      } finally {
        clearInterval(timer);
      }
    },
    async confirm(question) {
      if (isSure) return;
      if (input.isTTY !== true || output.isTTY !== true)
        throw new UsageError(`${question} Nobody is here to ask: repeat it with --yes`);
      const lines = createInterface({ input, output });
      try {
        const answer = await lines.question(`${question} [y/N] `);
        if (!/^(?:y|yes)$/i.test(answer.trim())) throw new UsageError("not done");
      } finally {
        lines.close();
      }
    },
  };
}
