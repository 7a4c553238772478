/**
 * The table of `schema.ts` seen as a flat list of keys: path, environment variable, kind, default and description. What
 * reads the environment, masks values or writes documents walks this list; it stands apart so that none of them knows zod.
 */
import { z } from 'zod';
import { Secret } from '../domain/secret.ts';
import { nearest } from './nearest.ts';
import { configSchema } from './schema.ts';
import { type Kind, kinds } from './values.ts';

/** One key of the configuration. */
export interface Key extends Kind {
  /** `tokens.accessTokenTtl` */
  readonly path: string;
  /** `AUTH_SERVER_TOKENS_ACCESS_TOKEN_TTL` */
  readonly variable: string;
  /** As people write it. */
  readonly fallback: unknown;
  readonly description: string;
  readonly isNullable: boolean;
}

/** The variable that names the configuration file; it is no key. */
export const CONFIG_VARIABLE = 'AUTH_SERVER_CONFIG';
/** Whatever begins so and names no key is warned about. */
export const VARIABLE_PREFIX = 'AUTH_SERVER_';

/** `tokens.accessTokenTtl` → `AUTH_SERVER_TOKENS_ACCESS_TOKEN_TTL` */
export const variableOf = (path: string): string =>
  VARIABLE_PREFIX +
  path
    .replaceAll('.', '_')
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase();

/** A table that reads no secrets, for those who only look at its shape. */
const shape = configSchema({ read: () => ({ kind: 'read', secret: new Secret('') }), locate: (path) => path });

function collect(schema: z.core.$ZodType, path: string): Key[] {
  const inner = withoutWrapping(schema);
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([name, child]) =>
      collect(child, path === '' ? name : `${path}.${name}`),
    );
  }
  const kind = kinds.get(inner);
  if (kind === undefined || !(schema instanceof z.ZodPrefault)) throw new Error(`${path} has no kind or no default`);
  return [
    Object.freeze({
      ...kind,
      path,
      variable: variableOf(path),
      fallback: schema.def.defaultValue,
      description: schema.description ?? '',
      isNullable: inner instanceof z.ZodNullable,
    }),
  ];
}

/** Down to what has a kind, or to an object. */
function withoutWrapping(schema: z.core.$ZodType): z.core.$ZodType {
  if (kinds.has(schema)) return schema;
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodReadonly) return withoutWrapping(schema.unwrap());
  return schema;
}

/** All keys, in the order of the table. */
export const KEYS: readonly Key[] = Object.freeze(collect(shape, ''));

const PATHS = new Set(KEYS.map((key) => key.path));

/** Every path that holds keys: `tokens`, `tokens.refresh`, … */
export const GROUPS: readonly string[] = [
  ...new Set(
    KEYS.flatMap(({ path }) =>
      path
        .split('.')
        .slice(0, -1)
        .map((_, index, names) => names.slice(0, index + 1).join('.')),
    ),
  ),
];

/** The key that a path is, or lies in: `events.webhooks.0.url` is in `events.webhooks`. */
export const keyOf = (path: string): Key | undefined =>
  KEYS.find((key) => path === key.path || path.startsWith(`${key.path}.`));

/** The known path that somebody probably meant. */
export function nearestPath(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('.') + 1);
  const elsewhere = KEYS.filter((key) => key.path.endsWith(`.${name}`));
  if (elsewhere.length === 1) return elsewhere[0]?.path;
  return nearest(path, [...PATHS, ...GROUPS]);
}

/** The JSON Schema of the file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(shape, {
    io: 'input',
    override: ({ zodSchema, jsonSchema: target }) => {
      delete target.readOnly;
      // A group that is left out is filled from the defaults of its keys; `{}` would tell an editor nothing.
      if (zodSchema instanceof z.ZodPrefault && withoutWrapping(zodSchema) instanceof z.ZodObject)
        delete target.default;
    },
  });
  const { $schema, default: _, properties, ...rest } = schema;
  return {
    $schema,
    title: 'Configuration of auth-server (auth.config.json)',
    ...rest,
    properties: { $schema: { type: 'string', description: 'Where an editor finds this schema.' }, ...properties },
  };
}
