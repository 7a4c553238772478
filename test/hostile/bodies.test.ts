/** Bodies that are not what they should be (security B1 to B19), at each endpoint that reads one. */
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { makeDatabase } from '../support/databases.ts';
import { expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Answer, Headers } from '../support/http-client.ts';
import { type Endpoint, endpoints, JSON_TYPE } from '../support/native-endpoints.ts';
import { PASSWORD, startTestServer, type TestServer, USERNAME } from '../support/test-server.ts';
import { expectAlive } from './raw.ts';

interface Prepared {
  readonly server: TestServer;
  readonly all: readonly Endpoint[];
}

async function start(): Promise<Prepared> {
  const server = await startTestServer({ url: await makeDatabase('sqlite') });
  return { server, all: endpoints(server, await server.login()).filter(({ path }) => path !== '/sessions') };
}

const send = (server: TestServer, to: Endpoint, body: string | Buffer, headers: Headers = JSON_TYPE): Promise<Answer> =>
  server.send({ method: 'POST', path: to.path, headers: { ...to.headers, ...headers }, body });

/** At every endpoint each body is refused so, and the tables stay as they were. */
async function expectAllRefused(
  bodies: readonly (string | Buffer)[],
  status = 400,
  error = 'invalid_request',
): Promise<void> {
  const { server, all } = await start();
  await expectNoChange(server, async () => {
    for (const to of all) {
      for (const body of bodies) expectRefusal(await send(server, to, body), status, error);
    }
    await expectAlive(server);
  });
}

/** A good body with these members before or after its own. */
const extended = (to: Endpoint, more: string): string => `${JSON.stringify(to.body).slice(0, -1)},${more}}`;

const invalidUtf8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]].map((bytes) =>
  Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]),
);

const refused: [row: string, bodies: readonly (string | Buffer)[]][] = [
  ['B1: empty', ['']],
  [
    'B2: no JSON',
    ['{', 'nul', '{"a":1,}', '{}{}', "{'a':1}", '{"a":NaN}', '{"a":01}', '\0', ' ', '{"a":"\n"}', '// x\n{}'],
  ],
  ['B3: no object', ['[]', 'null', '"x"', '1', 'true', '[{}]']],
  ['B10: bytes that are no UTF-8', invalidUtf8],
  [
    'B11: half a surrogate pair, or U+0000, anywhere',
    [
      '{"a":"\\ud800"}',
      '{"a":"\\udc00\\ud800"}',
      '{"\\ud800":1}',
      '{"a":["\\uDBFFx"]}',
      '{"a":"x\\u0000"}',
      '{"a":{"b":"\\ud83d\\\\ude00"}}',
    ],
  ],
  ['B12: a byte-order mark', ['\ufeff{}', Buffer.from('\ufeff{"a":1}', 'utf16le')]],
];

test.each(refused)('%s is invalid_request', (_row, bodies) => expectAllRefused(bodies));

test('B4: an empty object is told its first missing member', async () => {
  const { server, all } = await start();
  for (const to of all)
    expectRefusal(await send(server, to, '{}'), 400, 'invalid_request', { names: to.required[0] ?? '' });
});

test('B5: another media type is 415', async () => {
  const { server, all } = await start();
  const types = [
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/json; charset=latin1',
    'application/json, text/plain',
    'application/json-patch+json',
    'multipart/form-data; boundary=x',
    '',
  ];
  await expectNoChange(server, async () => {
    for (const to of all) {
      const body = JSON.stringify(to.body);
      for (const type of types) {
        expectRefusal(await send(server, to, body, { 'content-type': type }), 415, 'unsupported_media_type');
      }
      expectRefusal(await send(server, to, body, {}), 415, 'unsupported_media_type');
    }
  });
});

test('B6: the media type in any case, with its charset', async () => {
  const { server, all } = await start();
  for (const to of all.toReversed()) {
    const answer = await send(server, to, JSON.stringify(to.body), {
      'content-type': 'Application/JSON; Charset=UTF-8',
    });
    expect(answer.status, to.path).toBeLessThan(300);
  }
});

test('B7: what is compressed is 415, and nothing is inflated', async () => {
  const { server, all } = await start();
  const bomb = gzipSync(Buffer.alloc(10_000_000, 0x20));
  await expectNoChange(server, async () => {
    const before = process.memoryUsage.rss();
    for (const to of all) {
      const body = JSON.stringify(to.body);
      const packed: [string, Buffer][] = [
        ['gzip', gzipSync(body)],
        ['gzip', bomb],
        ['br', brotliCompressSync(body)],
        ['zstd', zstdCompressSync(body)],
        ['deflate, gzip', gzipSync(body)],
      ];
      for (const [encoding, bytes] of packed) {
        const headers = { ...JSON_TYPE, 'content-encoding': encoding };
        expectRefusal(await send(server, to, bytes, headers), 415, 'unsupported_media_type');
      }
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1024 * 1024);
  });
});

describe('the size', () => {
  const padded = (to: Endpoint, length: number): string => {
    const bare = extended(to, '"filler":""');
    return extended(to, `"filler":"${'x'.repeat(length - bare.length)}"`);
  };

  test('B8: one byte over the limit is 413, announced or in chunks', async () => {
    const { server, all } = await start();
    await expectNoChange(server, async () => {
      for (const to of all) {
        for (const isChunked of [false, true]) {
          for (const length of [16_385, 200_000]) {
            const headers = { ...to.headers, ...JSON_TYPE };
            const body = padded(to, length);
            expectRefusal(
              await server.send({ method: 'POST', path: to.path, headers, body, isChunked }),
              413,
              'payload_too_large',
            );
          }
        }
      }
      await expectAlive(server);
    });
  });

  test('B9: exactly the limit is judged by its content', async () => {
    const { server, all } = await start();
    for (const to of all.toReversed()) {
      expect((await send(server, to, padded(to, 16_384))).status, to.path).toBeLessThan(300);
    }
  });
});

describe('members', () => {
  const nested = `${'['.repeat(8_000)}${']'.repeat(8_000)}`;

  test('B13: nested 8,000 deep it is ignored as an unknown member, refused as a known one', async () => {
    const { server, all } = await start();
    for (const to of all.toReversed()) {
      const [first = ''] = to.required;
      expectRefusal(await send(server, to, `{"${first}":${nested}}`), 400, 'invalid_request', { names: first });
      const depth = Math.floor((16_300 - extended(to, '"deep":').length) / 2);
      const deep = `"deep":${'['.repeat(depth)}${']'.repeat(depth)}`;
      expect((await send(server, to, extended(to, deep))).status, to.path).toBeLessThan(300);
    }
    await expectAlive(server);
  });

  test('B14: many unknown members are ignored', async () => {
    const { server, all } = await start();
    for (const to of all.toReversed()) {
      const room = 16_000 - extended(to, '').length;
      const many = Array.from({ length: Math.floor(room / 9) }, (_, index) => `"${index.toString(36)}":0`).join(',');
      expect((await send(server, to, extended(to, many))).status, to.path).toBeLessThan(300);
    }
  });

  test('B15: members with the names of object members are no members', async () => {
    const { server, all } = await start();
    await expectNoChange(server, async () => {
      for (const to of all) {
        const [first = ''] = to.required;
        const inner = JSON.stringify(to.body);
        const bodies = ['__proto__', 'constructor', 'prototype'].map((name) => `{"${name}":${inner}}`);
        for (const body of [...bodies, `{"constructor":{"prototype":${inner}}}`]) {
          expectRefusal(await send(server, to, body), 400, 'invalid_request', { names: first });
        }
      }
    });
    expect(Object.hasOwn(Object.prototype, 'username')).toBe(false);
  });

  test('B16: of a member sent twice the last one counts', async () => {
    const { server, all } = await start();
    for (const to of all.toReversed()) {
      const [first = ''] = to.required;
      const good = JSON.stringify(to.body).slice(1);
      expect((await send(server, to, `{"${first}":1,${good}`)).status, to.path).toBeLessThan(300);
      expectRefusal(await send(server, to, extended(to, `"${first}":1`)), 400, 'invalid_request', { names: first });
    }
  });

  test('B17, B18: a member of another type is named', async () => {
    const { server, all } = await start();
    await expectNoChange(server, async () => {
      for (const to of all) {
        for (const name of [...to.required, ...to.optional]) {
          for (const value of [
            '1e400',
            '-0',
            '12345678901234567890',
            '[]',
            '{}',
            'false',
            'null',
            '["x"]',
            '{"toString":"x"}',
          ]) {
            expectRefusal(await send(server, to, extended(to, `"${name}":${value}`)), 400, 'invalid_request', {
              names: name,
            });
          }
        }
      }
    });
  });

  test('B19: others and everywhere are true or absent', async () => {
    const { server, all } = await start();
    const logout = all.find(({ path }) => path === '/logout');
    if (logout === undefined) throw new Error('no /logout');
    await expectNoChange(server, async () => {
      for (const name of ['others', 'everywhere']) {
        for (const value of ['"true"', '1', 'false', '"yes"', '[true]']) {
          expectRefusal(await send(server, logout, extended(logout, `"${name}":${value}`)), 400, 'invalid_request', {
            names: name,
          });
        }
      }
      for (const two of ['"others":true,"everywhere":true', `"others":true,"session_id":"${server.subject}"`]) {
        expectRefusal(await send(server, logout, extended(logout, two)), 400, 'invalid_request');
      }
    });
  });

  test('U+0000 is refused in a password, too, however it is spelled', async () => {
    const { server } = await start();
    await expectNoChange(server, async () => {
      for (const password of [`${PASSWORD}\\u0000`, '\\u0000', 'a\\u0000b']) {
        const body = `{"username":"${USERNAME}","password":"${password}"}`;
        expectRefusal(
          await server.send({ method: 'POST', path: '/login', headers: JSON_TYPE, body }),
          400,
          'invalid_request',
        );
      }
    });
    const escaped = JSON.stringify({ username: USERNAME, password: '\\u0000 \\ud800' });
    const answer = await server.send({ method: 'POST', path: '/login', headers: JSON_TYPE, body: escaped });
    // A backslash and the letters u0000 are text like any other.
    expectRefusal(answer, 401, 'invalid_credentials');
  });
});
