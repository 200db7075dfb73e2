import type { OpenApi, Schema } from "./operations.ts";

/** Where a value does not fit a JSON schema, of the kind our document is made of; unknown keywords are an error. */
export function misfits(document: OpenApi, schema: Schema, value: unknown, place = ""): string[] {
  const reference = schema.$ref;
  if (typeof reference === "string") return misfits(document, referred(document, reference), value, place);
  const whole = merged(document, schema);
  const { type, properties, required, items, enum: choices, anyOf, oneOf, additionalProperties, ...rest } = whole;
  const unknown = Object.keys(rest).filter((key) => !known.has(key));
  if (unknown.length > 0) return [`${place}: unknown keywords ${unknown.join(", ")}`];
  const problems: string[] = [];
  if (Array.isArray(choices) && !choices.includes(value)) problems.push(`${place}: is none of ${choices.join(", ")}`);
  for (const alternatives of [anyOf, oneOf]) {
    if (!Array.isArray(alternatives)) continue;
    const fits = alternatives.some((each: Schema) => misfits(document, each, value, place).length === 0);
    if (!fits) problems.push(`${place}: fits no alternative`);
  }
  const types = type === undefined ? [] : Array.isArray(type) ? type : [type];
  if (types.length > 0 && !types.some((each) => isOf(String(each), value))) {
    return [...problems, `${place}: ${JSON.stringify(value)} is not ${types.join(" or ")}`];
  }
  if (Array.isArray(value) && items !== undefined) {
    for (const [index, each] of value.entries())
      problems.push(...misfits(document, items as Schema, each, `${place}[${index}]`));
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    const fields = (properties ?? {}) as Record<string, Schema>;
    for (const name of (required ?? []) as string[])
      if (!(name in value)) problems.push(`${place}.${name}: is missing`);
    for (const [name, each] of Object.entries(value)) {
      const field =
        fields[name] ?? (typeof additionalProperties === "object" ? (additionalProperties as Schema) : undefined);
      if (field !== undefined) problems.push(...misfits(document, field, each, `${place}.${name}`));
      else if (properties !== undefined) problems.push(`${place}.${name}: is not in the document`);
    }
  }
  return problems;
}

/** `allOf` is how the document says that one schema has another's fields and more. */
function merged(document: OpenApi, { allOf, ...own }: Schema): Schema {
  if (!Array.isArray(allOf)) return own;
  const parts = [...(allOf as Schema[]), own].map((part) =>
    merged(document, typeof part.$ref === "string" ? referred(document, part.$ref) : part),
  );
  const properties = Object.assign({}, ...parts.map((part) => part.properties ?? {}));
  const required = parts.flatMap((part) => (part.required ?? []) as string[]);
  return { type: "object", properties, required };
}

const known = new Set([
  ...["description", "example", "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems"],
  ...["maxItems", "default", "exclusiveMinimum", "nullable", "propertyNames"],
]);

function isOf(type: string, value: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

export function referred(document: OpenApi, reference: string): Schema {
  const name = /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1] ?? "";
  const schema = document.components.schemas[name];
  if (schema === undefined) throw new Error(`${reference} leads nowhere`);
  return schema;
}
