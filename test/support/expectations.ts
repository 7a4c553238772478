/** What the tests of the contract say again and again: a refusal has this shape and no other, and it changes nothing. */
import { expect } from 'vitest';
import type { Answer } from './http-client.ts';
import type { TestServer } from './test-server.ts';

interface Refused {
  readonly reason?: string;
  /** What the sentence must name. */
  readonly names?: string;
}

/** Its status, its members and no others, and for `401` the scheme that the contract gives to its kind. */
export function expectRefusal(
  answer: Answer,
  status: number,
  error: string,
  { reason, names = '' }: Refused = {},
): void {
  const expected = reason === undefined ? { error } : { error, reason };
  const { error_description: description, ...rest } = answer.body;
  expect({ status: answer.status, ...rest }, String(description)).toEqual({ status, ...expected });
  expect(description).toContain(names);
  const scheme = error === 'invalid_client' ? /^Basic realm=/ : /^Bearer realm=/;
  if (status === 401) expect(answer.headers['www-authenticate']).toMatch(scheme);
  else expect(answer.headers['www-authenticate']).toBeUndefined();
}

export const expectInvalidGrant = (answer: Answer, reason: string): void =>
  expectRefusal(answer, 401, 'invalid_grant', { reason });

/** Security I7: whatever is asked in there, the tables are as before, and no event was recorded. */
export async function expectNoChange<T>(server: TestServer, action: () => Promise<T>): Promise<T> {
  const before = await server.dump();
  const result = await action();
  expect(await server.dump()).toEqual(before);
  return result;
}

/** The types of the events since the last look, in order, and no others. */
export async function expectEvents(server: TestServer, ...types: readonly string[]): Promise<void> {
  expect((await server.events()).map((event) => event.type)).toEqual(types);
}

/** The claims or the header of a token as it was sent, unchecked. */
export function decodePart(token: string, part: 'header' | 'claims'): Record<string, unknown> {
  const text = token.split('.')[part === 'header' ? 0 : 1] ?? '';
  return JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Record<string, unknown>;
}

/** The same token with one claim or header member changed; its signature is then wrong. */
export function tamper(token: string, part: 'header' | 'claims', change: Readonly<Record<string, unknown>>): string {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const changed = Buffer.from(JSON.stringify({ ...decodePart(token, part), ...change })).toString('base64url');
  return part === 'header' ? `${changed}.${claims}.${signature}` : `${header}.${changed}.${signature}`;
}
