import type { FilterSettings } from "./jail-settings.ts";

/**
 * Finds patterns through which an attacker could choose the address that is banned: text he writes into the log
 * (user names, URLs) can only pretend to be a log line where a pattern is open at an end or swallows anything
 * before the address. One warning per kind of problem.
 */
export function lintFilter(filter: FilterSettings): string[] {
  const byProblem = new Map<string, number[]>();
  for (const [index, regex] of filter.failRegex.entries()) {
    for (const problem of problemsOf(regex)) byProblem.set(problem, [...(byProblem.get(problem) ?? []), index + 1]);
  }
  return [...byProblem].map(
    ([problem, numbers]) => `filter "${filter.name}": failregex ${numbers.join(", ")}: ${problem}`,
  );
}

function problemsOf(regex: string): string[] {
  const problems: string[] = [];
  const address = regex.search(/<(?:HOST|ADDR|IP4|IP6|SUBNET|F-ID|F-IP4|F-IP6|F-ADDR)\b/);
  if (!/^(?:\(\?[a-zA-Z]+\))?(?:\^|\\A)/.test(regex)) {
    problems.push("not anchored at the start (^): text inside a line could pass for the whole line");
  }
  const open = !/(?:^|[^\\])(?:\\\\)*(?:\$|\\Z)\)*$/.test(regex);
  if (open && catchAllAt(regex) === undefined) {
    problems.push("not anchored at the end ($): a longer line that only begins like it matches too");
  }
  const catchAll = catchAllAt(regex);
  if (address >= 0 && catchAll !== undefined && catchAll < address) {
    problems.push("a catch-all (.* or .+) before the address: an attacker's text could name another address");
  }
  return problems;
}

/** Where an unescaped `.*` or `.+` outside of a character class stands. */
function catchAllAt(regex: string): number | undefined {
  const piece = /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\.[*+]|./g;
  for (const match of regex.matchAll(piece)) if (/^\.[*+]$/.test(match[0])) return match.index;
  return undefined;
}
