/** `auth-server token inspect` as a process (contract §7 and §12; security G15). */
import { expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { addUser } from '../../src/operations/users.ts';
import { makeCliDatabase } from '../support/cli-database.ts';
import { logIn } from '../support/test-app.ts';

const INSPECT = ['token', 'inspect'];

test('G15: a token on standard input is told with its verdict; its signature is told to nobody', async () => {
  const cli = await makeCliDatabase();
  const pair = await cli.inside(async (app) => {
    await addUser(app, { name: 'alice', password: new Secret('correct horse') });
    return logIn(app, 'alice', 'correct horse');
  });
  const report = await cli.json<object>(INSPECT, `\n${pair.accessToken}\n`);
  expect(report).toMatchObject({ kind: 'access', claims: { sid: pair.sid }, accepted: true, reason: null });
  expect(Object.keys(report)).toEqual(['kind', 'header', 'claims', 'accepted', 'reason']);
  expect(JSON.stringify(report)).not.toContain(pair.accessToken.split('.')[2]);
  const machine = await cli.run([...INSPECT, '--json'], pair.refreshToken);
  expect(machine).toMatchObject({ code: 0, stdout: expect.stringContaining('"refresh"') });
  expect(machine.stdout).not.toContain(pair.refreshToken.split('.')[2]);
  const { code, stdout } = await cli.run(INSPECT, pair.refreshToken);
  expect(code).toBe(0);
  expect(stdout).toContain('refresh token, HS256');
  expect(stdout).toContain('accepted');
  expect(stdout).toContain(`alice, session ${pair.sid} (live), client default, generation 0`);
});

test('G15: what is not accepted is exit 1, whatever it is', async () => {
  const cli = await makeCliDatabase();
  for (const [name, stdin] of [
    ['nothing', ''],
    ['junk', 'junk'],
    ['a mebibyte', 'x'.repeat(1_048_576)],
    ['bytes', Uint8Array.from({ length: 256 }, (_, byte) => byte)],
  ] as const) {
    const { code, stdout } = await cli.run([...INSPECT, '--json'], stdin);
    expect(code, name).toBe(1);
    expect(JSON.parse(stdout), name).toEqual({
      kind: 'unknown',
      header: null,
      claims: null,
      accepted: false,
      reason: 'malformed',
    });
  }
});

test('G15: a JWE is told by its header, and not accepted: exit 1', async () => {
  const cli = await makeCliDatabase();
  const header = { alg: 'dir', enc: 'A256GCM' };
  const jwe = `${Buffer.from(JSON.stringify(header)).toString('base64url')}..AAAA.AAAA.AAAA`;
  const { code, stdout } = await cli.run([...INSPECT, '--json'], jwe);
  const report = { kind: 'unknown', header, claims: null, accepted: false, reason: 'malformed' };
  expect({ code, report: JSON.parse(stdout) }).toEqual({ code: 1, report });
});

test('a token as an argument is refused, and is not repeated', async () => {
  const cli = await makeCliDatabase();
  const { code, stdout, stderr } = await cli.run([...INSPECT, 'eyJhbGciOiJub25lIn0.e30.']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('auth-server token inspect < token.jwt');
  expect(stderr).not.toContain('eyJ');
});
