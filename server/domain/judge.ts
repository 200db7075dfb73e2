import type { Scope, UnbanReason } from "../../shared/order.ts";

/**
 * The coordinator's judgement as a state machine without clock or I/O: facts in, decisions out, in the order they
 * happen. `fleet2ban replay` and the running coordinator drive the same machine; only the source of facts differs.
 */
export type Fact =
  | Readonly<{
      kind: "failure";
      atMs: number;
      tenant: string;
      host: string;
      jail: string;
      address: string;
      count: number;
    }>
  | Readonly<{ kind: "tenant"; tenant: string; trust: Trust; createdAtMs: number }>
  /** `tenant` null = the whole fleet. `add` false takes it back. */
  | Readonly<{ kind: "allow"; net: string; tenant: string | null; add: boolean }>
  | Readonly<{ kind: "never"; net: string; add: boolean }>
  /** By hand. `banTimeMs` null = for ever. */
  | Readonly<{ kind: "ban"; net: string; scope: Scope; banTimeMs: number | null; ports: readonly number[] | null }>
  /** By hand: every standing ban of exactly this net in this scope. */
  | Readonly<{ kind: "unban"; net: string; scope: Scope; reason: UnbanReason }>
  /** A quarantined host's failures are evidence only; a quarantined tenant has no vote. */
  | Readonly<{ kind: "quarantine"; host: string; on: boolean }>
  | Readonly<{ kind: "tick" }>;

export type Trust = "full" | "vote";

export type Decision =
  | Readonly<{
      kind: "ban";
      atMs: number;
      net: string;
      scope: Scope;
      /** null for a ban by hand. */
      level: number | null;
      untilMs: number | null;
      ports: readonly number[] | null;
      reason: BanReason;
      evidence: Evidence;
    }>
  | Readonly<{ kind: "unban"; atMs: number; net: string; scope: Scope; reason: UnbanReason }>
  | Readonly<{ kind: "held" | "refused"; atMs: number; net: string; scope: Scope; why: string }>;

/** `jail sshd`, or what else led to the ban. */
export type BanReason = `jail ${string}` | "spread" | "votes" | "network" | "admin";
export type Evidence = Readonly<{ hosts: number; tenants: number; failures: number }>;
