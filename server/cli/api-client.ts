import type { z } from "zod";
import { Fleet2banError } from "../../shared/errors.ts";
import { Problem } from "../http/problem.ts";

/** A coordinator that does not answer within this is away; a person is waiting. */
const requestTimeoutMs = 30_000;

export type ApiClient = Readonly<{
  get<T>(path: string, answer: z.ZodType<T>): Promise<T>;
  post<T>(path: string, body: unknown, answer: z.ZodType<T>): Promise<T>;
  delete<T>(path: string, answer: z.ZodType<T>): Promise<T>;
}>;

/**
 * The coordinator's API with its answers checked.
 *
 * @throws Fleet2banError with the coordinator's own sentence, or `unavailable` when nobody answers
 */
export function openApiClient(server: string, token: string | undefined): ApiClient {
  async function call<T>(method: string, path: string, body: unknown, answer: z.ZodType<T>): Promise<T> {
    if (token === undefined) {
      throw new Fleet2banError(
        "unavailable",
        "no token: pass --token or set FLEET2BAN_TOKEN (the coordinator prints the first one at its first start)",
      );
    }
    const url = new URL(`/api/v1${path}`, server);
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(requestTimeoutMs),
      });
    } catch (cause) {
      throw new Fleet2banError(
        "unavailable",
        `no coordinator answers at ${url.origin}: is it running? name another with --server`,
        { cause },
      );
    }
    if (!response.ok) throw await refusal(response);
    const value: unknown = response.status === 204 ? null : await response.json();
    const read = answer.safeParse(value);
    if (!read.success) {
      throw new Fleet2banError(
        "internal",
        `${url.pathname}: the coordinator's answer is not what this version expects; are both the same version?`,
      );
    }
    return read.data;
  }
  return {
    get: (path, answer) => call("GET", path, undefined, answer),
    post: (path, body, answer) => call("POST", path, body, answer),
    delete: (path, answer) => call("DELETE", path, undefined, answer),
  };
}

async function refusal(response: Response): Promise<Fleet2banError> {
  const read = Problem.safeParse(await response.json().catch(() => null));
  const detail = read.success ? read.data.detail : `the coordinator answered ${response.status}`;
  if (response.status === 401 || response.status === 403) return new Fleet2banError("forbidden", detail);
  if (response.status === 404) return new Fleet2banError("not_found", detail);
  if (response.status === 409) return new Fleet2banError("conflict", detail);
  if (response.status >= 500) return new Fleet2banError("unavailable", detail);
  return new Fleet2banError("conflict", detail);
}
