import { html } from "hono/html";
import type { Html } from "./html.ts";

export type DiffLine = Readonly<{ kind: "same" | "added" | "removed"; text: string }>;
/** The table below has a cell per pair of lines; a policy is a few hundred. Longer texts are shown as replaced whole. */
const linesMax = 1500;
/** Unchanged lines shown around a change. */
const around = 3;

/** The shortest way from one text to the other, line by line (longest common subsequence). */
export function diffLines(before: string, after: string): readonly DiffLine[] {
  const [old, fresh] = [before.split("\n"), after.split("\n")];
  if (old.length > linesMax || fresh.length > linesMax) return [...marked(old, "removed"), ...marked(fresh, "added")];
  const width = fresh.length + 1;
  const common = new Uint16Array((old.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = fresh.length - 1; column >= 0; column--) {
      const isSame = old[row] === fresh[column];
      common[row * width + column] = isSame
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const lines: DiffLine[] = [];
  let [row, column] = [0, 0];
  while (row < old.length && column < fresh.length) {
    const [gone = "", came = ""] = [old[row], fresh[column]];
    if (gone === came) {
      lines.push({ kind: "same", text: gone });
      row += 1;
      column += 1;
    } else if (at(row + 1, column) >= at(row, column + 1)) {
      lines.push({ kind: "removed", text: gone });
      row += 1;
    } else {
      lines.push({ kind: "added", text: came });
      column += 1;
    }
  }
  return [...lines, ...marked(old.slice(row), "removed"), ...marked(fresh.slice(column), "added")];
}

function marked(lines: readonly string[], kind: DiffLine["kind"]): DiffLine[] {
  return lines.map((text) => ({ kind, text }));
}

const signs = { same: " ", added: "+", removed: "-" } as const;

/** Only what changed and a little around it. */
export function diff(before: string, after: string): Html {
  const lines = diffLines(before, after);
  const isNear = lines.map((_, index) =>
    lines.slice(Math.max(0, index - around), index + around + 1).some(({ kind }) => kind !== "same"),
  );
  if (!isNear.includes(true)) return html`<p class="empty">Nothing differs.</p>`;
  const shown = lines.flatMap(({ kind, text }, index) => {
    if (!isNear[index]) return isNear[index - 1] ? [html`<span class="gap">…\n</span>`] : [];
    return [html`<span class="${kind}">${signs[kind]} ${text}\n</span>`];
  });
  return html`<pre class="diff" tabindex="0" aria-label="Differences">${shown}</pre>`;
}
