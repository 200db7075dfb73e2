import { messageOf } from "../../shared/errors.ts";

/** Why a log cannot be read, and what to do: for a person. */
export function problemOf(path: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EACCES" || code === "EPERM") {
    return `log ${path} must not be read by the agent, which keeps trying; run it as root or in the log's group (often adm)`;
  }
  if (code === "EINVAL" || code === "EISDIR") return `log ${path} is not a regular file; correct the jail's logpath`;
  return `log ${path} cannot be read, the agent keeps trying: ${messageOf(error)}`;
}
