/** What derives from the table of keys: the example, the JSON Schema, the pages. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'jsonc-parser';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { renderConfigFile } from '../../src/config/example.ts';
import { GROUPS, jsonSchema, KEYS } from '../../src/config/keys.ts';
import { describeConfig } from '../../src/config/load.ts';
import { load } from './support.ts';

const root = join(import.meta.dirname, '..', '..');
const example = readFileSync(join(root, 'auth.config.example.json'), 'utf8');

test('the example loads, sets every key and changes none', () => {
  const loaded = load({ file: example });
  expect([...loaded.origins.values()].every(({ kind }) => kind === 'file')).toBe(true);
  const values = (from: typeof loaded): unknown[] => describeConfig(from).map(({ value }) => value);
  const [written, bare] = [values(loaded), values(load({ cwd: loaded.file?.replace(/\/[^/]+$/, '') ?? '', env: {} }))];
  expect(written).toEqual(bare);
});

test('a starting file holds the answers, and the rest in comments', () => {
  const file = renderConfigFile({
    areDefaultsCommented: true,
    values: { 'listen.port': 9, 'database.url': 'sqlite:a.db' },
  });
  const { origins, config } = load({ file });
  expect(config.listen.port).toBe(9);
  expect([...origins].filter(([, { kind }]) => kind === 'file').map(([path]) => path)).toEqual([
    'listen.port',
    'database.url',
  ]);
  for (const { path } of KEYS) expect(file).toContain(`"${path.split('.').at(-1)}": `);
});

test('shown values can be written back: a round trip changes nothing', () => {
  const values = Object.fromEntries(describeConfig(load()).map(({ path, value }) => [path, value]));
  const shown = { ...values, 'users.http.timeout': '3s' };
  const again = Object.fromEntries(
    describeConfig(load({ file: renderConfigFile({ values: shown }) })).map(({ path, value }) => [path, value]),
  );
  expect(again).toEqual(values);
});

test('the JSON Schema accepts the example and refuses slips', () => {
  const schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const tree = parse(example, [], { allowTrailingComma: true });
  expect(schema.safeParse(tree).error).toBeUndefined();
  expect(schema.safeParse({ tokens: { accessTokenTTL: '5m' } }).success).toBe(false);
  expect(schema.safeParse({ tokens: { accessTokenTtl: '5 minutes' } }).success).toBe(false);
  expect(schema.safeParse({ tokens: { signingAlgorithm: 'none' } }).success).toBe(false);
  expect(
    schema.safeParse({
      masterKey: { env: 'KEY' },
      events: { webhooks: [{ url: 'https://a', secret: ['a', { file: 'b' }] }] },
    }).success,
  ).toBe(true);
});

test('the JSON Schema describes every key, with its default', () => {
  type Node = { properties?: Record<string, Node>; description?: string; default?: unknown };
  for (const key of KEYS) {
    const node = key.path
      .split('.')
      .reduce<Node | undefined>((at, name) => at?.properties?.[name], jsonSchema() as Node);
    expect(node).toMatchObject({ description: key.description, default: key.fallback });
  }
  expect(JSON.stringify(jsonSchema())).not.toContain('readOnly');
});

test('no two keys or groups have the same variable', () => {
  const variables = KEYS.map(({ variable }) => variable);
  expect(new Set(variables).size).toBe(variables.length);
  expect(GROUPS).toContain('tokens.refresh');
});

test('the page has a row for every key', () => {
  const page = readFileSync(join(root, 'docs', 'configuration.md'), 'utf8');
  for (const { path, variable } of KEYS) expect(page).toContain(`| \`${path}\` | \`${variable}\` |`);
});
