/** Most repetitions one line may stand for. syslog counts honestly, but a forged line must not weigh more. */
const repetitionsMax = 100;
const closingBracket = 93;

/** Host and program come first, and the sender chooses neither: the words may not be taken from his own text. */
const repeatedMessage = /^(\s?\S+ [^\s:]+: )message repeated (\d{1,9}) times: \[ (.*)\]\n$/;

/**
 * syslog folds equal lines: `host sshd[7]: message repeated 3 times: [ Failed password … ]`. fail2ban misses those;
 * a guesser who repeats himself would hide behind them.
 *
 * @param text  the line without its date, with its newline
 * @returns     the folded line (with a newline) and how often it came, or undefined
 */
export function unfoldRepeated(text: string): { text: string; count: number } | undefined {
  if (text.charCodeAt(text.length - 2) !== closingBracket || !text.includes("message repeated ")) return undefined;
  const [, head, times, message] = repeatedMessage.exec(text) ?? [];
  if (head === undefined || message === undefined) return undefined;
  const count = Math.min(Number(times), repetitionsMax);
  return count < 1 ? undefined : { text: `${head}${message}\n`, count };
}
