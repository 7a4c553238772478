/** A body that is not what it should be is refused on every native endpoint alike, and changes nothing: contract §3. */
import { expect, test } from 'vitest';
import { describeOnBothDatabases } from '../support/databases.ts';
import { expectNoChange, expectRefusal } from '../support/expectations.ts';
import type { Headers, Sending } from '../support/http-client.ts';
import { endpoints, JSON_TYPE } from '../support/native-endpoints.ts';
import { PASSWORD, startTestServer, USERNAME } from '../support/test-server.ts';

const NO_OBJECTS: readonly (string | Buffer)[] = [
  '',
  '{',
  'nul',
  '{"a":1,}',
  '{}{}',
  '[]',
  'null',
  '"x"',
  '1',
  'true',
  '\ufeff{}',
  Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
  '{"refresh_token":"\\ud800"}',
  '{"x":"\\udc00\\ud800"}',
  '{"x":"a\\u0000"}',
  '{"\\ud800":1}',
];
/** Members of a body that is otherwise good. */
const NO_TEXT: readonly string[] = [
  '"x":"\\ud800"',
  '"x":"\\udc00"',
  '"x":"a\\udc00b"',
  '"x":"\\n\\udc00"',
  '"x":"\\ud83d\\ude00\\ude00"',
  '"x":"\\ud83d \\ude00"',
  '"x":"a\\u0000"',
  '"\\udfff":1',
];
const WRONG_TYPES: readonly Headers[] = [
  {},
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'application/json; charset=latin1' },
  { 'content-type': 'application/jsonp' },
  { 'content-type': ['application/json', 'application/json'] },
  { ...JSON_TYPE, 'content-encoding': 'gzip' },
];

describeOnBothDatabases('a body at any native endpoint', (makeDatabase) => {
  async function prepare(config: Readonly<Record<string, unknown>> = {}) {
    const server = await startTestServer({ url: await makeDatabase(), config });
    return { server, all: endpoints(server, await server.login()) };
  }

  test('refuses a body that is no JSON object as invalid_request, and changes nothing (B1 B2 B3 B10 B11 B12)', async () => {
    const { server, all } = await prepare();
    await expectNoChange(server, async () => {
      for (const { path, headers } of all) {
        for (const body of NO_OBJECTS) {
          expectRefusal(
            await server.send({ method: 'POST', path, headers: { ...JSON_TYPE, ...headers }, body }),
            400,
            'invalid_request',
          );
        }
      }
    });
  });

  test('refuses text that is none in a member that is otherwise ignored, and takes what is well-formed (B11)', async () => {
    const { server, all } = await prepare();
    const send = ({ path, headers, body }: (typeof all)[number], member: string) => {
      const text = `${JSON.stringify(body).slice(0, -1)},${member}}`;
      return server.send({ method: 'POST', path, headers: { ...JSON_TYPE, ...headers }, body: text });
    };
    await expectNoChange(server, async () => {
      for (const endpoint of all) {
        for (const member of NO_TEXT) expectRefusal(await send(endpoint, member), 400, 'invalid_request');
      }
    });
    for (const endpoint of [...all].reverse()) {
      expect((await send(endpoint, '"x":"\\ud83d\\ude00\\\\udc00 \\u0041"')).status).toBeLessThan(300);
    }
  });

  test('refuses another Content-Type with 415, and reads nothing that is compressed (B5 B7)', async () => {
    const { server, all } = await prepare();
    await expectNoChange(server, async () => {
      for (const { path, headers, body } of all) {
        for (const wrong of WRONG_TYPES) {
          const sending: Sending = {
            method: 'POST',
            path,
            headers: { ...headers, ...wrong },
            body: JSON.stringify(body),
          };
          expectRefusal(await server.send(sending), 415, 'unsupported_media_type');
        }
      }
    });
  });

  test('accepts its Content-Type in any case, with a charset of UTF-8 (B6)', async () => {
    const { server, all } = await prepare();
    for (const { path, headers, body } of all.toReversed()) {
      const sending = {
        method: 'POST',
        path,
        headers: { ...headers, 'content-type': 'Application/JSON; Charset=UTF-8' },
        body: JSON.stringify(body),
      };
      expect((await server.send(sending)).status, path).toBeLessThan(300);
    }
  });

  test('refuses a body over server.bodyLimit with 413, announced or in chunks, and reads one that just fits (B8 B9)', async () => {
    const { server, all } = await prepare();
    for (const { path, headers, body } of all.toReversed()) {
      const filler = (length: number): string => {
        const bare = JSON.stringify({ ...body, filler: '' });
        return JSON.stringify({ ...body, filler: 'x'.repeat(length - bare.length) });
      };
      const sending = { method: 'POST', path, headers: { ...JSON_TYPE, ...headers } };
      await expectNoChange(server, async () => {
        for (const isChunked of [false, true]) {
          expectRefusal(await server.send({ ...sending, body: filler(16_385), isChunked }), 413, 'payload_too_large');
        }
      });
      expect((await server.send({ ...sending, body: filler(16_384) })).status, path).toBeLessThan(300);
    }
  });

  test('names a member that is missing or of the wrong type, and ignores unknown ones (B4 B13 B15 B17 B18 B19 R1 V3)', async () => {
    const { server, all } = await prepare();
    await expectNoChange(server, async () => {
      for (const { path, headers, body, required, optional } of all) {
        const [first = ''] = required;
        expectRefusal(await server.post(path, {}, headers), 400, 'invalid_request', { names: first });
        expectRefusal(
          await server.post(path, { ['__proto__']: body, constructor: body }, headers),
          400,
          'invalid_request',
          { names: first },
        );
        for (const name of [...required, ...optional]) {
          for (const wrong of [1, false, null, [], {}, ['x']]) {
            expectRefusal(await server.post(path, { ...body, [name]: wrong }, headers), 400, 'invalid_request', {
              names: name,
            });
          }
          const nested = `${JSON.stringify(body).slice(0, -1)},"${name}":${'['.repeat(5_000)}${']'.repeat(5_000)}}`;
          const sending = { method: 'POST', path, headers: { ...JSON_TYPE, ...headers }, body: nested };
          expectRefusal(await server.send(sending), 400, 'invalid_request', { names: name });
        }
      }
    });
    for (const { path, headers, body } of all.toReversed()) {
      expect(
        (await server.post(path, { ...body, unknown: [[[1]]], ['__proto__']: null }, headers)).status,
        path,
      ).toBeLessThan(300);
    }
  });

  test('of a member that is sent twice the last one counts (B16)', async () => {
    const { server } = await prepare();
    const body = `{"username":"nobody","password":"x","username":"${USERNAME}","password":"${PASSWORD}"}`;
    expect((await server.send({ method: 'POST', path: '/login', headers: JSON_TYPE, body })).status).toBe(200);
  });
});
