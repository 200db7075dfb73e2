import { readFileSync } from "node:fs";

/** Who else changes this host's firewall, each told by a file that anybody may look at. */
const traces: readonly Readonly<{ name: string; file: string; holds?: RegExp }>[] = [
  { name: "ufw", file: "/etc/ufw/ufw.conf", holds: /^ENABLED=yes/im },
  { name: "firewalld", file: "/run/firewalld.pid" },
  { name: "Docker", file: "/run/docker.pid" },
  { name: "fail2ban", file: "/run/fail2ban/fail2ban.pid" },
];

/** @param read  another machine's files in tests; fails where there is none. Not by `fs/promises`, which loads readline. */
export async function findManagers(
  read: (file: string) => Promise<string> = async (file) => readFileSync(file, "utf8"),
): Promise<readonly string[]> {
  const found = await Promise.all(
    traces.map(async ({ name, file, holds }) => {
      const text = await read(file).catch(() => undefined);
      return text === undefined || holds?.test(text) === false ? [] : [name];
    }),
  );
  return found.flat();
}

/** What an operator must know of them; undefined when there is none. */
export function besideText(firewall: string, managers: readonly string[]): string | undefined {
  const others = managers.filter((name) => name !== firewall);
  if (others.length === 0) return undefined;
  return `${others.join(", ")}: bans hold beside ${others.length === 1 ? "it" : "them"}, and ${others.length === 1 ? "it does" : "they do"} not show them`;
}
