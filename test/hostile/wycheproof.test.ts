/**
 * Wycheproof's signatures at the server (security 3.18). Its keys are not ours, so every string of it is a forgery here; and
 * its special ECDSA signatures depend on no key and no message, so they are put on a genuine header and payload.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectInvalidGrant, expectNoChange } from '../support/expectations.ts';
import { postForm } from '../support/form.ts';
import { type Pair, startTestServer, type TestServer } from '../support/test-server.ts';

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: string;
  readonly result: 'valid' | 'invalid';
}

const file = path.join(import.meta.dirname, '../vectors/wycheproof-jws.json');
const { groups } = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly groups: readonly { readonly comment: string; readonly tests: readonly Vector[] }[];
};
const vectors = groups.flatMap(({ tests }) => tests);
const special = groups.filter(({ comment }) => comment === 'SpecialCaseEs256').flatMap(({ tests }) => tests);

/** What a reader of access tokens, a reader of refresh tokens, and the proof at a refresh say of it. */
async function expectRefusedEverywhere(server: TestServer, pair: Pair, what: string, token: string): Promise<void> {
  expect(await server.verify(token), what).toEqual({ active: false, reason: 'malformed' });
  // In a form an empty parameter counts as absent (RFC 6749 §3.2).
  if (token !== '') {
    const asked = await postForm(server, '/oauth/introspect', { token }, server.api.basic);
    expect(asked, what).toMatchObject({ status: 200, text: '{"active":false}' });
  }
  expectInvalidGrant(await server.tryRefresh({ ...pair, refresh_token: token }), 'malformed');
  expectInvalidGrant(await server.tryRefresh({ ...pair, access_token: token }), 'mismatch');
}

test('every vector, valid or not, is a forgery: malformed, and nothing changes (3.18, J20 to J22)', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const pair = await server.login();
  expect(vectors.length).toBeGreaterThan(90);
  await expectNoChange(server, async () => {
    for (const { tcId, comment, jws } of vectors) {
      await expectRefusedEverywhere(server, pair, `${tcId} ${comment}`, jws);
    }
  });
  await server.refresh(pair);
}, 90_000);

test('a special ECDSA signature under a genuine header and payload is malformed (3.18, J8)', async () => {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  const pair = await server.login();
  const [header = '', payload = ''] = pair.access_token.split('.');
  const signatures = special
    .filter(({ result }) => result === 'invalid')
    .map(({ tcId, comment, jws }) => ({
      what: `${tcId} ${comment}`,
      token: `${header}.${payload}.${jws.split('.')[2] ?? ''}`,
    }));
  expect(signatures).toHaveLength(23);
  await expectNoChange(server, async () => {
    for (const { what, token } of signatures) await expectRefusedEverywhere(server, pair, what, token);
  });
  expect(await server.verify(pair.access_token)).toMatchObject({ active: true });
});
