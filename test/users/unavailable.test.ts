/** Security rows U1 to U7: whatever a user service answers that is no answer lets nobody in, and costs nobody much. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import tls from 'node:tls';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { describeOnBothDatabases } from '../support/databases.ts';
import { freePort } from '../support/free-port.ts';
import { type Behaviour, says, startStubUserService } from '../support/stub-user-service.ts';
import { expectNoEntry, startWith } from './support.ts';

const ENTRY = { sub: 'user-1' };

describeOnBothDatabases('a user service that gives no answer', (makeOne) => {
  test('a service that cannot be reached lets nobody in: refused, no such host, hangs up (U1)', async () => {
    const url = await makeOne();
    const server = await startWith(url, `http://127.0.0.1:${await freePort()}`);
    await expectNoEntry(server);

    const nameless = await startWith(await makeOne(), 'https://user-service.invalid');
    await expectNoEntry(nameless);

    const rude = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    onTestFinished(async () => {
      rude.close();
      await once(rude, 'close');
    });
    await once(rude, 'listening');
    const address = rude.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    await expectNoEntry(await startWith(await makeOne(), `http://127.0.0.1:${port}`));
  });

  test('a service is believed only behind a certificate that is trusted, valid and its own (U1)', async () => {
    const trusted = tls.getCACertificates('default');
    onTestFinished(() => tls.setDefaultCACertificates(trusted));
    const known = makeAuthority();
    tls.setDefaultCACertificates([...trusted, known.certificate]);
    const stub = (certificate: ReturnType<typeof known.issue>) => startStubUserService(certificate);

    const good = await stub(known.issue({ address: '127.0.0.1' }));
    await (await startWith(await makeOne(), good)).login();

    const bad = {
      'of an unknown authority': await stub(makeAuthority().issue({ address: '127.0.0.1' })),
      'run out': await stub(known.issue({ address: '127.0.0.1' }, -1)),
      "another's": await stub(known.issue({ address: '127.0.0.2', host: 'other.example' })),
    };
    for (const [what, service] of Object.entries(bad)) {
      await expectNoEntry(await startWith(await makeOne(), service));
      expect(service.questions(), what).toEqual([]);
    }
  });

  test('a service that is late is not waited for: silence, or a byte at a time (U2)', async () => {
    const service = await startStubUserService();
    const timeout = 300;
    const server = await startWith(await makeOne(), service, { 'users.http.timeout': `${timeout}ms` });
    const slow: Readonly<Record<string, Behaviour>> = {
      silence: () => undefined,
      'headers, then silence': (outgoing) => outgoing.writeHead(200).flushHeaders(),
      'a byte at a time': (outgoing) => {
        const text = JSON.stringify(ENTRY).padEnd(4_096);
        let sent = 0;
        const timer = setInterval(() => outgoing.write(text[sent++] ?? ' '), 20);
        outgoing.on('close', () => clearInterval(timer));
      },
    };
    for (const [what, behaviour] of Object.entries(slow)) {
      service.behave(behaviour);
      const started = performance.now();
      await expectNoEntry(server);
      expect(performance.now() - started, what).toBeLessThan(timeout + 5_000);
      expect(service.questions(), 'asked once, not again').toHaveLength(1);
    }
  });

  test('any status but 200, 401, 403 and 404 is no answer (U3)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'users.http.timeout': '2s' });
    for (const status of [
      201, 202, 203, 204, 206, 300, 304, 400, 402, 405, 409, 410, 418, 422, 429, 500, 502, 503, 504,
    ]) {
      service.behave(says(status, status === 204 || status === 304 ? '' : ENTRY));
      await expectNoEntry(server);
      expect(service.questions(), String(status)).toHaveLength(1);
    }
    service.behave((outgoing) => outgoing.writeContinue());
    await expectNoEntry(server);
  });

  test('a redirect is not followed: the password travels to one place (U4)', async () => {
    const service = await startStubUserService();
    const elsewhere = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    for (const status of [301, 302, 303, 307, 308]) {
      for (const location of [`${elsewhere.origin}/login`, `${service.origin}/other`, '/other']) {
        service.behave(says(status, ENTRY, { location }));
        await expectNoEntry(server);
        expect(service.questions().map(({ url }) => url)).toEqual(['/login']);
      }
    }
    expect(elsewhere.questions()).toEqual([]);
  });

  test('a body that is no JSON object is no answer (U5)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    const text = JSON.stringify(ENTRY);
    const bodies: readonly (string | Buffer)[] = [
      '<!doctype html><title>Log in</title>',
      '',
      '{',
      '[]',
      'null',
      'true',
      '"user-1"',
      `[${text}]`,
      `${text}${text}`,
      `\ufeff${text}`,
      Buffer.from(`{"sub":"user-\xff"}`, 'latin1'),
      Buffer.from(text, 'utf16le'),
      '['.repeat(60_000),
      `{"sub":"user-1","claims":${'{"a":'.repeat(10_000)}`,
    ];
    for (const body of bodies) {
      service.behave(says(200, body));
      await expectNoEntry(server);
    }
    service.behave(says(200, ENTRY, { 'content-type': 'text/plain' }));
    await server.login();
  });

  test('a sub that is not 1 to 255 visible ASCII characters is none (U6)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service);
    const subjects = [undefined, null, 7, true, '', 'a b', 'a\r\nX-Evil: 1', 'a\u0000', 'é', '\ud800', 'a'.repeat(256)];
    for (const sub of [...subjects, 'a'.repeat(10_240), ['user-1'], { id: 'user-1' }]) {
      service.behave(says(200, { sub }));
      await expectNoEntry(server);
    }
    for (const sub of ['a', '~'.repeat(255)]) {
      service.behave(says(200, { sub }));
      expect(await server.verify((await server.login()).access_token)).toMatchObject({ active: true, sub });
    }
  });

  test('a body is read up to 64 KiB, whatever its length and its coding (U7)', async () => {
    const service = await startStubUserService();
    const server = await startWith(await makeOne(), service, { 'users.http.timeout': '5s' });
    const chunk = Buffer.alloc(65_536, ' ');
    let sent = 0;
    /** Writes as fast as the other side takes it, and no further. */
    const pour =
      (total: number, headers: Readonly<Record<string, string>>): Behaviour =>
      (outgoing) => {
        outgoing.writeHead(200, { 'content-type': 'application/json', ...headers });
        const more = (): void => {
          while (sent < total && !outgoing.destroyed) {
            sent += chunk.length;
            if (!outgoing.write(chunk)) return;
          }
        };
        outgoing.on('drain', more);
        more();
      };
    const bomb = gzipSync(Buffer.alloc(100 * 1_048_576, ' '));
    const rows: Readonly<Record<string, Behaviour>> = {
      '100 MiB, announced': pour(100 * 1_048_576, { 'content-length': String(100 * 1_048_576) }),
      'endless chunks': pour(Number.POSITIVE_INFINITY, {}),
      'a gzip bomb': says(200, bomb, { 'content-encoding': 'gzip' }),
      'one byte over 64 KiB': says(200, JSON.stringify(ENTRY).padEnd(65_537)),
    };
    // Once to warm up: the first run of any code takes memory of its own.
    for (const behaviour of [...Object.values(rows), ...Object.values(rows)]) {
      service.behave(behaviour);
      sent = 0;
      const before = process.memoryUsage.rss();
      await expectNoEntry(server);
      // What the sockets of both sides hold, and no more.
      expect(sent).toBeLessThan(16 * 1_048_576);
      expect(process.memoryUsage.rss() - before).toBeLessThan(90 * 1_048_576);
    }
    service.behave(says(200, JSON.stringify(ENTRY).padEnd(65_536)));
    await server.login();
  });
});
