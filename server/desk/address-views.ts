import type { AddressHome, HomeSource } from "../geo/address-home.ts";
import type { BanView, RuleKind, RuleView } from "./desk.ts";

export type Explanation = Readonly<{
  address: string;
  banned: boolean;
  /** One sentence a person can read out on the telephone. */
  summary: string;
  bans: readonly (BanView &
    Readonly<{ inForceOn: Readonly<{ applied: number; total: number }>; mayBeLiftedBy: string }>)[];
  localBans: readonly Readonly<{
    host: string;
    tenant: string;
    jail: string;
    net: string;
    startedMs: number;
    untilMs: number | null;
  }>[];
  rules: readonly (RuleView & Readonly<{ kind: RuleKind }>)[];
  history: readonly BanView[];
  evidence: readonly Readonly<{
    tenant: string;
    host: string;
    jail: string;
    failures: number;
    firstMs: number;
    lastMs: number;
  }>[];
  nextLevel: string;
  home: AddressHome & Readonly<{ sources: readonly HomeSource[] }>;
}>;
