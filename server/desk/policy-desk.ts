import { parse, stringify } from "yaml";
import { Fleet2banError } from "../../shared/errors.ts";
import { withDefaults } from "../domain/policy.ts";
import { setPolicy } from "../ingest/admin-acts.ts";
import { StaleError } from "../refusals.ts";
import { currentPolicy, listPolicies, type PolicyRecord, policyByVersion, readPolicy } from "../store/policies.ts";
import type { Desk, Principal } from "./desk.ts";
import { actOf, beforeOf, type DeskParts, pageOf, requireFleet } from "./desk-parts.ts";
import type { WriteOptions } from "./desk-views.ts";
import { tryPolicy } from "./policy-trial.ts";
import type { PolicyView, TrialProgress } from "./policy-views.ts";

type PolicyVerbs =
  | "policy"
  | "policyVersions"
  | "policyVersion"
  | "setPolicy"
  | "tryPolicy"
  | "trialProgress"
  | "revertPolicy";

/** All thresholds, as one document in numbered versions. */
export function policyDesk(parts: DeskParts): Pick<Desk, PolicyVerbs> {
  const { store, writer } = parts;
  let trial: TrialProgress | undefined;

  async function current(): Promise<PolicyView> {
    const { version } = await currentPolicy(store);
    return await versionOf(version);
  }

  async function versionOf(version: number): Promise<PolicyView> {
    if (version === 0) return builtIn();
    const found = await policyByVersion(store, version);
    if (found === undefined) throw new Fleet2banError("not_found", `there is no version ${version} of the policy`);
    return show(found);
  }

  async function put(asker: Principal, document: string, options: WriteOptions | undefined): Promise<PolicyView> {
    const before = await current();
    const { ifMatch } = options ?? {};
    if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== before.etag) throw new StaleError("the policy");
    if (options?.dryRun === true) {
      readPolicy(document);
      return show({ version: before.version + 1, document, createdBy: asker.name, createdMs: parts.now() });
    }
    const upon = ifMatch === undefined || ifMatch === "*" ? null : before.version;
    return show(await setPolicy(writer, actOf(asker, options?.reason ?? null), document, upon));
  }

  return {
    async policy(asker) {
      requireFleet(asker, "the policy");
      return await current();
    },
    async policyVersions(asker, { cursor, limit }) {
      requireFleet(asker, "the policy");
      const { version: newest } = await currentPolicy(store);
      return pageOf(
        await listPolicies(store, beforeOf(cursor), limit + 1),
        limit,
        (row) => String(row.version),
        ({ version, createdMs, createdBy: by }) => ({ version, createdMs, by, current: version === newest }),
      );
    },
    async policyVersion(asker, version) {
      requireFleet(asker, "the policy");
      return await versionOf(version);
    },
    async setPolicy(asker, document, options) {
      requireFleet(asker, "the policy");
      return await put(asker, document, options);
    },
    async tryPolicy(asker, document, days) {
      requireFleet(asker, "the policy");
      const policy = readPolicy(document);
      if (trial !== undefined) {
        throw new Fleet2banError("unavailable", "another trial is running; it takes seconds, try again after it");
      }
      trial = { done: 0, total: 0 };
      try {
        return await tryPolicy(store, policy, days, parts.now(), (progress) => {
          trial = progress;
        });
      } finally {
        trial = undefined;
      }
    },
    async trialProgress(asker) {
      requireFleet(asker, "the policy");
      return trial ?? null;
    },
    async revertPolicy(asker, options) {
      requireFleet(asker, "the policy");
      const { version, etag } = await current();
      if (version === 0)
        throw new Fleet2banError("conflict", "the built-in policy is in force; there is none before it");
      const { document } = await versionOf(version - 1);
      const { reason = `back to version ${version - 1}`, ifMatch = etag, ...rest } = options ?? {};
      return await put(asker, document, { ...rest, reason, ifMatch });
    },
  };
}

function builtIn(): PolicyView {
  const whole = stringify(withDefaults({}));
  return { version: 0, document: "", effective: whole, createdMs: null, by: "fleet2ban", etag: "0" };
}

function show({ version, document, createdMs, createdBy: by }: PolicyRecord): PolicyView {
  const value: unknown = parse(document);
  return { version, document, effective: stringify(withDefaults(value)), createdMs, by, etag: String(version) };
}
