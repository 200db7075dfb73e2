import type { BanView, PageQuery } from "./desk.ts";

export type FailureQuery = PageQuery &
  Readonly<{
    /** An address or network: failures of addresses inside it. */
    net?: string | undefined;
    tenant?: string | undefined;
    host?: string | undefined;
    jail?: string | undefined;
    /** Only those that arrived in the last so many milliseconds (default: an hour). */
    withinMs?: number | undefined;
  }>;

/** A window that was full: what came of it. */
export type IncidentView = Readonly<{
  atMs: number;
  outcome: "banned" | "held" | "refused";
  net: string;
  scope: string;
  reason: string;
  /** Of what was not banned. */
  why: string | null;
  banId: number | null;
  level: number | null;
  evidence: BanView["evidence"];
}>;

/** A ban the brake stopped, waiting for an admin. */
export type HeldView = Readonly<{
  id: number;
  atMs: number;
  net: string;
  scope: string;
  why: string;
  reason: string;
  ports: readonly number[] | null;
  evidence: BanView["evidence"];
}>;

export type AuditQuery = PageQuery &
  Readonly<{ action?: string | undefined; actor?: string | undefined; target?: string | undefined }>;

export type AuditView = Readonly<{
  sequence: number;
  atMs: number;
  actor: string;
  action: string;
  target: string;
  /** Among others `before`, `after`, `note` (why) and `requestId`. */
  detail: Readonly<Record<string, unknown>>;
  hash: string;
}>;

/** Where an act has arrived: hosts that carried out its orders, by scope. No scope: it ordered nothing, or is too old. */
export type AuditReach = Readonly<{
  sequence: number;
  scopes: readonly Readonly<{ scope: string; applied: number; total: number; waiting: readonly string[] }>[];
}>;

/** `brokenAt` null = nobody has touched it. */
export type AuditCheck = Readonly<{ entries: number; brokenAt: number | null }>;
