/** Who called, behind proxies and before them (security X1 to X5): no caller chooses the address that it is counted by. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases, type MakeDatabase } from '../support/databases.ts';
import type { Headers } from '../support/http-client.ts';
import { ISSUER, startTestServer, type TestServer } from '../support/test-server.ts';

const trusting = async (makeDatabase: MakeDatabase, trusted: readonly string[], more = {}): Promise<TestServer> =>
  startTestServer({ url: await makeDatabase(), config: { 'server.trustedProxies': trusted, ...more } });

let names = 0;

/** The address in the event of a failed login that came with these headers. */
async function addressFor(server: TestServer, headers: Headers): Promise<unknown> {
  names += 1;
  // A name of its own each time: none of them may be throttled.
  const answer = await server.tryLogin({ password: 'wrong password', username: `nobody-${names}`, headers });
  expect(answer.status).toBe(401);
  const [event, ...more] = await server.events();
  expect(more).toEqual([]);
  expect(event?.type).toBe('login.failed');
  return event?.data.ip;
}

describeOnBothDatabases('the address of a caller', (makeDatabase) => {
  test('X1: what an untrusted peer says of itself is ignored', async () => {
    const server = await trusting(makeDatabase, []);
    const claims: Headers = {
      'x-forwarded-for': '1.2.3.4',
      forwarded: 'for=1.2.3.4',
      'x-real-ip': '1.2.3.4',
      'x-client-ip': '1.2.3.4',
      'cf-connecting-ip': '1.2.3.4',
      'true-client-ip': '1.2.3.4',
    };
    expect(await addressFor(server, claims)).toBe('127.0.0.1');
  });

  test('X1: nor what a peer says that is none of the trusted ones', async () => {
    const server = await trusting(makeDatabase, ['10.0.0.0/8', '::1']);
    expect(await addressFor(server, { 'x-forwarded-for': '1.2.3.4' })).toBe('127.0.0.1');
  });

  test('X2: behind trusted proxies it is the right-most hop that is none of them', async () => {
    const server = await trusting(makeDatabase, ['127.0.0.1', '10.1.0.0/16', '2001:db8:ffff::/48']);
    const rows: [header: string | readonly string[], address: string][] = [
      ['1.2.3.4, 10.0.0.1', '10.0.0.1'],
      ['1.2.3.4, 10.1.0.1', '1.2.3.4'],
      ['9.9.9.9, 1.2.3.4, 10.1.0.1, 10.1.2.3', '1.2.3.4'],
      ['10.1.0.1', '10.1.0.1'],
      ['1.2.3.4', '1.2.3.4'],
      [' 1.2.3.4 ,\t10.1.0.1 ', '1.2.3.4'],
      ['2001:db8::1, 2001:db8:ffff::7', '2001:db8::1'],
      // Two header fields are one list (RFC 9110 §5.3).
      [['9.9.9.9', '1.2.3.4'], '1.2.3.4'],
    ];
    for (const [header, address] of rows) {
      expect(await addressFor(server, { 'x-forwarded-for': header }), String(header)).toBe(address);
    }
    for (const name of ['forwarded', 'x-real-ip']) {
      expect(await addressFor(server, { [name]: name === 'forwarded' ? 'for=1.2.3.4' : '1.2.3.4' })).toBe('127.0.0.1');
    }
  });

  test('X3: what is no address is no address, and no text of a caller ever counts as one', async () => {
    const server = await trusting(makeDatabase, ['127.0.0.1']);
    const rows: [header: string, address: string][] = [
      ['a.b.c.d', '127.0.0.1'],
      ['unknown', '127.0.0.1'],
      ['', '127.0.0.1'],
      [',,,', '127.0.0.1'],
      ['1.2.3.4:80', '1.2.3.4'],
      ['[::1]:9', '::1'],
      ['[2001:DB8::0001]', '2001:db8::1'],
      ['::ffff:1.2.3.4', '1.2.3.4'],
      ['::FFFF:102:304', '1.2.3.4'],
      ['fe80::1%attacker', 'fe80::1'],
      ['1.2.3.4.5', '127.0.0.1'],
      ['01.2.3.4', '127.0.0.1'],
      ['1.2.3', '127.0.0.1'],
      ['0x01020304', '127.0.0.1'],
      ['256.1.1.1', '127.0.0.1'],
      ['_hidden', '127.0.0.1'],
      ["1.2.3.4' OR 1=1", '127.0.0.1'],
      ['<script>', '127.0.0.1'],
      [Array.from({ length: 300 }, (_, hop) => `10.0.${hop >> 8}.${hop & 255}`).join(', '), '10.0.1.43'],
      ['a'.repeat(8_192), '127.0.0.1'],
      [`${'x,'.repeat(4_000)}1.2.3.4`, '1.2.3.4'],
    ];
    for (const [header, address] of rows) {
      expect(await addressFor(server, { 'x-forwarded-for': header }), header.slice(0, 40)).toBe(address);
    }
    // A list longer than any real path is given up before its beginning.
    const trustedHops = Array.from({ length: 300 }, () => '127.0.0.1').join(',');
    expect(await addressFor(server, { 'x-forwarded-for': `1.2.3.4,${trustedHops}` })).toBe('127.0.0.1');
  });

  test('X4: the addresses of one /64, however they are spelled, are throttled as one', async () => {
    const server = await trusting(makeDatabase, ['127.0.0.1'], { 'login.maxFailuresPerAddress': 20 });
    const spellings = (host: number): string => {
      const tail = host.toString(16);
      const all = [
        `2001:db8:1:2::${tail}`,
        `2001:DB8:1:2:0:0:0:${tail}`,
        `2001:0db8:0001:0002:0000:0000:0000:${tail.padStart(4, '0')}`,
      ];
      return all[host % all.length] ?? '';
    };
    for (let host = 1; host <= 20; host += 1) {
      const headers = { 'x-forwarded-for': spellings(host) };
      expect((await server.tryLogin({ username: `nobody-${host}`, password: 'wrong password', headers })).status).toBe(
        401,
      );
    }
    const next = { 'x-forwarded-for': '2001:db8:1:2:ffff:ffff:ffff:ffff' };
    const throttled = await server.tryLogin({ headers: next });
    expect(throttled).toMatchObject({ status: 429, body: { error: 'too_many_attempts' } });
    expect((await server.tryLogin({ headers: { 'x-forwarded-for': '2001:db8:1:3::1' } })).status).toBe(200);
  });

  test('X5: no header of a proxy reaches an issuer, a link or a token', async () => {
    const server = await trusting(makeDatabase, ['127.0.0.1']);
    const headers = {
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-prefix': '/evil',
      'x-forwarded-port': '666',
      'x-original-url': '/evil',
      'x-rewrite-url': '/evil',
      forwarded: 'host=evil.example;proto=http',
    };
    const { body, text } = await server.send({ path: '/.well-known/oauth-authorization-server', headers });
    expect(body.issuer).toBe(ISSUER);
    expect(text).not.toMatch(/evil|666/);
    const pair = await server.login({ headers });
    expect(await server.verify(pair.access_token)).toMatchObject({ active: true, iss: ISSUER });
  });
});
