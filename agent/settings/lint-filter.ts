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
  const pieces = [...regex.matchAll(piece)].map((match) => match[0]);
  const address = pieces.findIndex((text) => /^<(?:HOST|ADDR|DNS|IP4|IP6|SUBNET|F-ID|F-IP4|F-IP6|F-ADDR)\b/.test(text));
  const catchAlls = pieces.flatMap((text, index) => (/^\.[*+]$/.test(text) ? [index] : []));
  const open = !/^(?:\$|\\Z)$/.test(pieces.findLast((text) => text !== ")") ?? "");
  const unknown = pieces.find((text) => /^<[a-z][\w-]*>$/.test(text));
  if (unknown !== undefined) {
    problems.push(`nothing defines ${unknown}, so it is taken literally: correct the name or the option it is made of`);
  }
  if (!/^(?:\(\?[a-zA-Z]+\))?(?:\^|\\A)/.test(regex)) {
    problems.push("not anchored at the start (^): text inside a line could pass for the whole line");
  }
  if (open && catchAlls.length === 0) {
    problems.push("not anchored at the end ($): a longer line that only begins like it matches too");
  }
  // A catch-all before the address is harmless where only fixed words stand between the address and the line's end.
  const before = catchAlls.some((index) => index < address);
  if (before && (open || catchAlls.some((index) => index > address))) {
    problems.push(
      "a catch-all (.* or .+) before the address and an open end: an attacker's text could name another address",
    );
  }
  return problems;
}

/** A tag, an escape, a character class, a group's head, a catch-all, or any other character. */
const piece = /<[^ <>]+>|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P<\w+>|\.[*+]|./g;
