/**
 * What a message or a stored value must look like, written as with zod/mini, whose names and rules these are. zod itself
 * costs an idle agent 1 MB, a fifteenth of its budget. Only what the wire and the agent need is here; whatever people
 * write (configuration, API) is read by zod.
 */
export class Shape<Output> {
  /** The value as this shape has it, or what is wrong with it. Never throws, whatever the value. */
  readonly read: (value: unknown) => Output | Problem;

  constructor(read: (value: unknown) => Output | Problem) {
    this.read = read;
  }

  /** @throws ShapeError naming the place in the value and what was expected there */
  parse(value: unknown): Output {
    const read = this.read(value);
    if (read instanceof Problem) throw new ShapeError(read);
    return read;
  }

  safeParse(value: unknown): Outcome<Output> {
    const read = this.read(value);
    return read instanceof Problem ? { success: false, error: new ShapeError(read) } : { success: true, data: read };
  }

  check(...checks: readonly Check<Output>[]): Shape<Output> {
    return new Shape((value) => {
      const read = this.read(value);
      if (read instanceof Problem) return read;
      const wrong = checks.find(({ holds }) => !holds(read));
      return wrong === undefined ? read : new Problem(wrong.expected);
    });
  }
}

type Outcome<Output> = Readonly<
  { success: true; data: Output; error?: never } | { success: false; data?: never; error: ShapeError }
>;

export class ShapeError extends Error {
  constructor({ place, expected }: Problem) {
    super(place === "" ? `must be ${expected}` : `${place}: must be ${expected}`);
  }
}

/** Of a value that is not as it must be. */
class Problem {
  readonly expected: string;
  /** `o[3].net`; empty for the whole value. */
  readonly place: string;

  constructor(expected: string, place = "") {
    this.expected = expected;
    this.place = place;
  }

  /** The same, seen from outside. */
  in(part: string): Problem {
    const separator = this.place === "" || this.place.startsWith("[") ? "" : ".";
    return new Problem(this.expected, `${part}${separator}${this.place}`);
  }
}

type Check<Value> = Readonly<{ holds: (value: Value) => boolean; expected: string }>;
type Fields = Readonly<Record<string, Shape<unknown>>>;
type OptionalKey<F extends Fields> = { [K in keyof F]: F[K] extends OptionalShape<unknown> ? K : never }[keyof F];
type Read<F extends Fields> = { [K in Exclude<keyof F, OptionalKey<F>>]: infer_<F[K]> } & {
  [K in OptionalKey<F>]?: infer_<F[K]>;
};
type Flat<T> = { [K in keyof T]: T[K] };
type infer_<S> = S extends Shape<infer Output> ? Output : never;

export type { infer_ as infer };

class OptionalShape<Output> extends Shape<Output> {
  readonly optional = true;
}

class ObjectShape<F extends Fields> extends Shape<Flat<Read<F>>> {
  readonly fields: F;

  constructor(fields: F) {
    super((value) => readObject(value, Object.entries(fields)) as Flat<Read<F>> | Problem);
    this.fields = fields;
  }
}

/** Keys that are not named are left out. */
function readObject(value: unknown, fields: readonly (readonly [string, Shape<unknown>])[]): object | Problem {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Problem("an object");
  const result: Record<string, unknown> = {};
  for (const [name, shape] of fields) {
    if (!Object.hasOwn(value, name)) {
      if (shape instanceof OptionalShape) continue;
      return new Problem("there", name);
    }
    const read = shape.read((value as Record<string, unknown>)[name]);
    if (read instanceof Problem) return read.in(name);
    result[name] = read;
  }
  return result;
}

/** Of primitives: the value itself, or a sentence. */
function primitive<Output>(expected: string, is: (value: unknown) => boolean): Shape<Output> {
  const problem = new Problem(expected);
  return new Shape((value) => (is(value) ? (value as Output) : problem));
}

export const string = () => primitive<string>("text", (value) => typeof value === "string");
export const number = () => primitive<number>("a number", Number.isFinite);
export const int = () => primitive<number>("a whole number", Number.isSafeInteger);
export const boolean = () => primitive<boolean>("true or false", (value) => typeof value === "boolean");
export const unknown = () => new Shape<unknown>((value) => value);

export function literal<const Value extends string | number | boolean>(wanted: Value): Shape<Value> {
  return primitive(JSON.stringify(wanted), (value) => value === wanted);
}

function enum_<const Value extends string>(wanted: readonly Value[]): Shape<Value> {
  return primitive(`one of ${wanted.join(", ")}`, (value) => wanted.some((each) => each === value));
}

export { enum_ as enum };

export function nullable<Output>(shape: Shape<Output>): Shape<Output | null> {
  return new Shape((value) => (value === null ? null : shape.read(value)));
}

/** May be absent, or undefined. */
export function optional<Output>(shape: Shape<Output>): OptionalShape<Output | undefined> {
  return new OptionalShape((value) => (value === undefined ? undefined : shape.read(value)));
}

/** May be absent. */
export function exactOptional<Output>(shape: Shape<Output>): OptionalShape<Output> {
  return new OptionalShape(shape.read);
}

export function object<const F extends Fields>(fields: F): ObjectShape<F> {
  return new ObjectShape(fields);
}

/** The later one counts where both name a field. */
export function extend<F extends Fields, const G extends Fields>(shape: ObjectShape<F>, more: G): ObjectShape<F & G> {
  return new ObjectShape({ ...shape.fields, ...more });
}

export function array<Output>(shape: Shape<Output>): Shape<Output[]> {
  return new Shape((value) => {
    if (!Array.isArray(value)) return new Problem("a list");
    return readItems(value, () => shape);
  });
}

type Items<S extends readonly Shape<unknown>[]> = { -readonly [K in keyof S]: infer_<S[K]> };

export function tuple<const S extends readonly Shape<unknown>[]>(items: S): Shape<Items<S>>;
export function tuple<const S extends readonly Shape<unknown>[], Rest>(
  items: S,
  rest: Shape<Rest>,
): Shape<[...Items<S>, ...Rest[]]>;
export function tuple(items: readonly Shape<unknown>[], rest?: Shape<unknown>): Shape<unknown[]> {
  return new Shape((value) => {
    if (!Array.isArray(value)) return new Problem("a list");
    if (value.length < items.length || (rest === undefined && value.length > items.length)) {
      return new Problem(`a list of ${items.length}`);
    }
    return readItems(value, (index) => items[index] ?? rest ?? unknown());
  });
}

function readItems<Output>(values: readonly unknown[], shapeOf: (index: number) => Shape<Output>): Output[] | Problem {
  const result: Output[] = [];
  for (let index = 0; index < values.length; index += 1) {
    const read = shapeOf(index).read(values[index]);
    if (read instanceof Problem) return read.in(`[${index}]`);
    result.push(read);
  }
  return result;
}

/** The first that fits. */
export function union<const S extends readonly Shape<unknown>[]>(shapes: S): Shape<infer_<S[number]>> {
  return new Shape((value) => {
    for (const shape of shapes) {
      const read = shape.read(value);
      if (!(read instanceof Problem)) return read as infer_<S[number]>;
    }
    return new Problem("one of the known forms");
  });
}

/** The one whose field `key` fits. */
export function discriminatedUnion<const S extends readonly ObjectShape<Fields>[]>(
  key: string,
  shapes: S,
): Shape<infer_<S[number]>> {
  return new Shape((value) => {
    const kind = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
    const shape = shapes.find(({ fields }) => !(fields[key]?.read(kind) instanceof Problem));
    return shape === undefined ? new Problem("a known kind", key) : (shape.read(value) as infer_<S[number]> | Problem);
  });
}

/** Goes on with what `convert` makes of it; undefined = it is not `expected`. */
export function converted<From, To>(
  shape: Shape<From>,
  convert: (value: From) => To | undefined,
  expected: string,
): Shape<To> {
  return new Shape((value) => {
    const read = shape.read(value);
    return read instanceof Problem ? read : (convert(read) ?? new Problem(expected));
  });
}

export const refine = <Value>(holds: (value: Value) => boolean, expected: string): Check<Value> => ({
  holds,
  expected,
});
export const regex = (pattern: RegExp) => refine((text: string) => pattern.test(text), `like ${pattern.source}`);
export const minLength = (least: number) =>
  refine(({ length }: Readonly<{ length: number }>) => length >= least, `at least ${least} long`);
export const maxLength = (most: number) =>
  refine(({ length }: Readonly<{ length: number }>) => length <= most, `at most ${most} long`);
export const minimum = (least: number) => refine((value: number) => value >= least, `at least ${least}`);
export const maximum = (most: number) => refine((value: number) => value <= most, `at most ${most}`);
export const nonnegative = () => minimum(0);
export const positive = () => refine((value: number) => value > 0, "above 0");
