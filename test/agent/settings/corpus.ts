import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";

const Expectation = z.strictObject({
  ip: z.string().optional(),
  user: z.string().optional(),
  match: z.literal(false).optional(),
  filter: z.string().optional(),
});

/** A sample line, the filter it is for, and what must come of it. */
export type Sample = Readonly<{ filter: string; line: string; place: string; ip: string | null; user?: string }>;

const corpusDir = join(import.meta.dirname, "../../corpus");

/** Every sample of every built-in filter. */
export function readCorpus(): Sample[] {
  return readdirSync(corpusDir)
    .filter((file) => file.endsWith(".log"))
    .flatMap((file) => readSamples(file));
}

function readSamples(file: string): Sample[] {
  const samples: Sample[] = [];
  let expected: z.infer<typeof Expectation> | undefined;
  for (const [index, line] of readFileSync(join(corpusDir, file), "utf8").split("\n").entries()) {
    const place = `${file}:${index + 1}`;
    if (line.startsWith("# {")) expected = Expectation.parse(JSON.parse(line.slice(2)));
    else if (line !== "" && !line.startsWith("#")) {
      if (expected === undefined) throw new Error(`${place}: no expectation stands before this line`);
      const { filter = basename(file, ".log"), ip, user } = expected;
      samples.push({ filter, line, place, ip: ip ?? null, ...(user === undefined ? {} : { user }) });
      expected = undefined;
    }
  }
  return samples;
}
