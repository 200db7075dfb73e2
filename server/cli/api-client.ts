import type { z } from "zod";
import { Fleet2banError } from "../../shared/errors.ts";
import { Problem } from "../http/problem.ts";

/** A coordinator that does not answer within this is away; a person is waiting. */
const requestTimeoutMs = 30_000;
/** A trial judges a million failures twice; an export sends a million lines. */
const longTimeoutMs = 15 * 60_000;

/** What a request carries besides its path. `text`: a body that is not JSON of ours, with its type. */
export type Carried = Readonly<{
  body?: unknown;
  text?: Readonly<{ type: string; content: string }>;
  /** The ETag of what was read. */
  ifMatch?: string;
  /** It may take minutes. */
  long?: boolean;
}>;

export type ApiClient = Readonly<{
  get<T>(path: string, answer: z.ZodType<T>): Promise<T>;
  post<T>(path: string, body: unknown, answer: z.ZodType<T>): Promise<T>;
  delete<T>(path: string, answer: z.ZodType<T>): Promise<T>;
  send<T>(method: string, path: string, carried: Carried, answer: z.ZodType<T>): Promise<T>;
  /** A file, as it comes. */
  download(path: string): Promise<AsyncIterable<string>>;
}>;

/**
 * The coordinator's API with its answers checked.
 *
 * @throws Fleet2banError with the coordinator's own sentence, or `unavailable` when nobody answers
 */
export function openApiClient(server: string, token: string | undefined): ApiClient {
  async function request(method: string, path: string, { body, text, ifMatch, long }: Carried): Promise<Response> {
    if (token === undefined) {
      throw new Fleet2banError(
        "unavailable",
        "no token: pass --token or set FLEET2BAN_TOKEN (the coordinator prints the first one at its first start)",
      );
    }
    const url = new URL(`/api/v1${path}`, server);
    const content = text?.content ?? (body === undefined ? null : JSON.stringify(body));
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(content === null ? {} : { "content-type": text?.type ?? "application/json" }),
          ...(ifMatch === undefined ? {} : { "if-match": `"${ifMatch}"` }),
        },
        body: content,
        signal: AbortSignal.timeout(long === true ? longTimeoutMs : requestTimeoutMs),
      });
    } catch (cause) {
      throw new Fleet2banError(
        "unavailable",
        `no coordinator answers at ${url.origin}: is it running? name another with --server`,
        { cause },
      );
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async function send<T>(method: string, path: string, carried: Carried, answer: z.ZodType<T>): Promise<T> {
    const response = await request(method, path, carried);
    const value: unknown = response.status === 204 ? null : await response.json();
    const read = answer.safeParse(value);
    if (!read.success) {
      throw new Fleet2banError(
        "internal",
        `${path.split("?")[0]}: the coordinator's answer is not what this version expects; are both the same version?`,
      );
    }
    return read.data;
  }
  return {
    send,
    get: (path, answer) => send("GET", path, {}, answer),
    post: (path, body, answer) => send("POST", path, body === undefined ? {} : { body }, answer),
    delete: (path, answer) => send("DELETE", path, {}, answer),
    async download(path) {
      const response = await request("GET", path, { long: true });
      return (response.body ?? new Blob([]).stream()).pipeThrough(new TextDecoderStream());
    },
  };
}

async function refusal(response: Response): Promise<Fleet2banError> {
  const read = Problem.safeParse(await response.json().catch(() => null));
  const detail = read.success ? read.data.detail : `the coordinator answered ${response.status}`;
  if (response.status === 401 || response.status === 403) return new Fleet2banError("forbidden", detail);
  if (response.status === 404) return new Fleet2banError("not_found", detail);
  if (response.status >= 500) return new Fleet2banError("unavailable", detail);
  return new Fleet2banError("conflict", detail);
}
