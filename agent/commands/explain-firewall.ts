import { messageOf } from "../../shared/errors.ts";
import { detectFirewall, type FirewallChoice } from "../firewall/detect.ts";
import { besideText, findManagers } from "../firewall/managers.ts";

/** Which firewall an agent with this configuration would take on this host, as `agent check` shows it. */
export type FirewallPlan = Readonly<{
  kind: "firewall";
  /** null = the one that is named does not work here. */
  name: string | null;
  enforcing: boolean;
  reasons: readonly string[];
  warnings: readonly string[];
  /** Others that change this host's firewall. */
  beside: readonly string[];
}>;

/** Asks as the agent will, and changes nothing. Who has not the agent's rights gets another answer, and is told so. */
export async function planFirewall(choice: FirewallChoice): Promise<FirewallPlan> {
  const beside = await findManagers();
  try {
    const { backend, reasons } = await detectFirewall(choice, { now: Date.now, print: () => undefined });
    const { name, enforcing } = backend;
    const warnings = [...backend.warnings, ...(enforcing || choice === "observe" ? [] : mereUser())];
    return { kind: "firewall", name, enforcing, reasons, warnings, beside };
  } catch (error) {
    const reasons = [messageOf(error)];
    return { kind: "firewall", name: null, enforcing: false, reasons, warnings: mereUser(), beside };
  }
}

function mereUser(): string[] {
  return process.getuid?.() === 0
    ? []
    : ["this check does not run as root, the agent may have more rights: try as root"];
}

export function explainPlan({ name, enforcing, reasons, warnings, beside }: FirewallPlan): string {
  const others = besideText(name ?? "", beside);
  const lines = [
    `firewall ${name ?? "DOES NOT WORK"}${name !== null && !enforcing ? ": NO PACKET WOULD BE STOPPED" : ""}`,
    ...reasons.map((reason) => `  why      ${reason}`),
    ...(others === undefined ? [] : [`  beside   ${others}`]),
    ...warnings.map((warning) => `  warning: ${warning}`),
  ];
  return `${lines.join("\n")}\n`;
}
