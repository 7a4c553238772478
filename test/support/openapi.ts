/**
 * Answers held against openapi.json: every one that a test gets over HTTP, so that the document cannot say anything else than
 * the server does. In answers objects are closed: a member that the document does not name is a fault. What was granted is
 * held against it too: a request that succeeds is one that the document allows.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { expect } from 'vitest';
import { openApiDocument } from '../../src/http/openapi.ts';
import type { Answer } from './http-client.ts';

interface Content {
  readonly [mediaType: string]: { readonly schema: object };
}

interface Response {
  readonly $ref?: string;
  readonly content?: Content;
}

interface Operation {
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Response>>;
}

type Operations = Readonly<Record<string, Operation | undefined>>;

interface Document {
  readonly paths: Readonly<Record<string, Operations | undefined>>;
  readonly components: { readonly responses: Readonly<Record<string, Response | undefined>> };
}

function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, closed(member)]));
  return members.type === 'object' && 'properties' in members ? { additionalProperties: false, ...members } : members;
}

const ID = 'https://auth.example/openapi.json';
const asServed = openApiDocument('https://auth.example') as unknown as Document;
export const document = closed(asServed) as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(document, ID);

/** The row that a path belongs to. */
export function documentedPath(path: string): string | undefined {
  const [bare = ''] = path.split('?');
  if (bare.startsWith('/forward-auth/')) return '/forward-auth';
  if (/^\/admin\/v1\/families\/[A-Za-z0-9._~-]+$/.test(bare)) return '/admin/v1/families/{id}';
  return Object.hasOwn(document.paths, bare) ? bare : undefined;
}

const validators = new Map<string, ValidateFunction>();

function validatorOf(schema: object): ValidateFunction {
  const text = JSON.stringify(schema);
  const known = validators.get(text) ?? ajv.compile(JSON.parse(text.replaceAll('"#/', `"${ID}#/`)) as object);
  validators.set(text, known);
  return known;
}

/** Of a body that the server took, whatever else it holds: callers may send more than is known. */
export function checkGranted(method: string, path: string, body: string | Buffer | undefined): void {
  const row = documentedPath(path);
  const { requestBody } = (row === undefined ? undefined : asServed.paths[row]?.[method.toLowerCase()]) ?? {};
  if (requestBody === undefined) return;
  const text = body?.toString() ?? '';
  if (text === '' && !requestBody.required) return;
  const [[mediaType, { schema }] = ['', { schema: {} }]] = Object.entries(requestBody.content);
  const sent: unknown =
    mediaType === 'application/json' ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
  const validate = validatorOf(schema);
  expect(validate(sent), `${method} ${row} was granted: ${JSON.stringify(validate.errors)}`).toBe(true);
}

/** Of what is in the document; a path that is not, or a method that is not allowed, is nobody's promise. */
export function checkDocumented(method: string, path: string, { status, headers, text, body }: Answer): void {
  const row = documentedPath(path);
  const operations = row === undefined ? undefined : document.paths[row];
  const operation = operations?.[row === '/forward-auth' ? 'get' : method.toLowerCase()];
  // The answer to HEAD has the headers of a body, and none.
  if (operation === undefined || method === 'HEAD') return;
  const response = operation.responses[status] ?? operation.responses.default;
  const { content } = response?.$ref === undefined ? (response ?? {}) : (resolve(response.$ref) ?? {});
  const what = `${method} ${row} ${status}`;
  if (content === undefined) {
    expect(text, `${what} has no body`).toBe('');
    return;
  }
  const sent = headers['content-type']?.split(';')[0] ?? '';
  expect(Object.keys(content), what).toContain(sent);
  // Events are no JSON; a test of theirs reads them.
  if (sent === 'text/event-stream') return;
  const validate = validatorOf(content[sent]?.schema ?? {});
  expect(validate(body), `${what} ${text.slice(0, 300)}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

const resolve = (reference: string): Response | undefined =>
  document.components.responses[reference.slice('#/components/responses/'.length)];
